#include "profile/schema.h"

#include "base/base.h"

#define TEXT_MAX   1024 /* paths and devargs */
#define NUMBER_MAX 64

#define WANT CYAML_FLAG_POINTER
#define MAY  (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define NUMBER(key, type, member)      CYAML_FIELD_STRING_PTR(key, MAY, type, member, 0, NUMBER_MAX)
#define TEXT(key, flags, type, member) CYAML_FIELD_STRING_PTR(key, flags, type, member, 1, TEXT_MAX)
#define SECTION(key, flags, member, fields)                                                        \
	CYAML_FIELD_MAPPING(key, flags, struct pst_raw_profile, member, fields)

static const cyaml_schema_value_t text_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, NUMBER_MAX)};

static const cyaml_schema_value_t path_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, TEXT_MAX)};

static const cyaml_strval_t idle_names[] = {
	{"adaptive", PST_IDLE_ADAPTIVE}, {"spin", PST_IDLE_SPIN}};
static const cyaml_strval_t checksum_names[] = {{"strict", PST_CHECKSUM_STRICT + 1},
	{"local", PST_CHECKSUM_LOCAL + 1}, {"nic", PST_CHECKSUM_NIC + 1}};
static const cyaml_strval_t framing_names[] = {{"datagram", PST_FRAMING_DATAGRAM},
	{"lines", PST_FRAMING_LINES}, {"mold64", PST_FRAMING_MOLD64}};
static const cyaml_strval_t action_names[] = {{"keep", 0}, {"drop", 1}};
static const cyaml_strval_t on_failure_names[] = {
	{"halt", PST_ON_FAILURE_HALT}, {"continue", PST_ON_FAILURE_CONTINUE}};
static const cyaml_strval_t quarantine_on_failure_names[] = {
	{"halt", PST_ON_FAILURE_HALT + 1}, {"continue", PST_ON_FAILURE_CONTINUE + 1}};
static const cyaml_strval_t when_full_names[] = {
	{"shed", PST_WHEN_FULL_SHED}, {"retain", PST_WHEN_FULL_RETAIN}};
static const cyaml_strval_t header_names[] = {
	{"ts-ns", PST_RAW_HEADER_TS_NS}, {"rules", PST_RAW_HEADER_RULES}};
static const cyaml_strval_t seal_names[] = {
	{"sha256", PST_RAW_SEAL_SHA256}, {"none", PST_RAW_SEAL_NONE}};

static const cyaml_schema_field_t port_fields[] = {TEXT("name", WANT, struct pst_raw_port, name),
	TEXT("interface", MAY, struct pst_raw_port, interface),
	TEXT("pci", MAY, struct pst_raw_port, pci), TEXT("vdev", MAY, struct pst_raw_port, vdev),
	NUMBER("queues", struct pst_raw_port, queues),
	NUMBER("descriptors", struct pst_raw_port, descriptors),
	CYAML_FIELD_ENUM("checksum", CYAML_FLAG_OPTIONAL, struct pst_raw_port, checksum,
		checksum_names, PST_ARRAY_CNT(checksum_names)),
	CYAML_FIELD_BOOL("promiscuous", CYAML_FLAG_OPTIONAL, struct pst_raw_port, promiscuous),
	CYAML_FIELD_END};
static const cyaml_schema_value_t port_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct pst_raw_port, port_fields)};

static const cyaml_schema_field_t listener_fields[] = {
	TEXT("name", WANT, struct pst_raw_listener, name),
	CYAML_FIELD_SEQUENCE_COUNT("addresses", WANT, struct pst_raw_listener, addresses,
		address_cnt, &text_schema, 1, PST_ADDRESSES_MAX),
	CYAML_FIELD_STRING_PTR("port", WANT, struct pst_raw_listener, port, 0, NUMBER_MAX),
	CYAML_FIELD_ENUM("framing", CYAML_FLAG_OPTIONAL, struct pst_raw_listener, framing,
		framing_names, PST_ARRAY_CNT(framing_names)),
	TEXT("stream", WANT, struct pst_raw_listener, stream),
	CYAML_FIELD_ENUM("default-action", CYAML_FLAG_OPTIONAL, struct pst_raw_listener,
		default_action, action_names, PST_ARRAY_CNT(action_names)),
	CYAML_FIELD_SEQUENCE_COUNT("allow", MAY, struct pst_raw_listener, allow, allow_cnt,
		&text_schema, 1, PST_ALLOW_MAX),
	CYAML_FIELD_END};
static const cyaml_schema_value_t listener_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct pst_raw_listener, listener_fields)};

static const cyaml_schema_field_t stream_fields[] = {
	TEXT("name", WANT, struct pst_raw_stream, name),
	NUMBER("segment-bytes", struct pst_raw_stream, segment_bytes),
	NUMBER("segment-age", struct pst_raw_stream, segment_age),
	NUMBER("retain-bytes", struct pst_raw_stream, retain_bytes),
	NUMBER("retain-age", struct pst_raw_stream, retain_age),
	CYAML_FIELD_ENUM("on-failure", CYAML_FLAG_OPTIONAL, struct pst_raw_stream, on_failure,
		on_failure_names, PST_ARRAY_CNT(on_failure_names)),
	CYAML_FIELD_FLAGS("headers", CYAML_FLAG_OPTIONAL, struct pst_raw_stream, headers,
		header_names, PST_ARRAY_CNT(header_names)),
	CYAML_FIELD_ENUM("seal", CYAML_FLAG_OPTIONAL, struct pst_raw_stream, seal, seal_names,
		PST_ARRAY_CNT(seal_names)),
	CYAML_FIELD_END};
static const cyaml_schema_value_t stream_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct pst_raw_stream, stream_fields)};

static const cyaml_schema_field_t data_fields[] = {TEXT("dir", MAY, struct pst_raw_data, dir),
	CYAML_FIELD_SEQUENCE_COUNT(
		"dirs", MAY, struct pst_raw_data, dirs, dir_cnt, &path_schema, 1, PST_DRIVES_MAX),
	NUMBER("retain-bytes", struct pst_raw_data, retain_bytes),
	CYAML_FIELD_ENUM("when-full", CYAML_FLAG_OPTIONAL, struct pst_raw_data, when_full,
		when_full_names, PST_ARRAY_CNT(when_full_names)),
	NUMBER("reserve", struct pst_raw_data, reserve), CYAML_FIELD_END};
static const cyaml_schema_field_t cores_fields[] = {NUMBER("main", struct pst_raw_cores, main),
	CYAML_FIELD_SEQUENCE_COUNT(
		"rx", MAY, struct pst_raw_cores, rx, rx_cnt, &text_schema, 1, PST_RX_LCORES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("writers", MAY, struct pst_raw_cores, writers, writer_cnt,
		&text_schema, 1, PST_WRITERS_MAX),
	CYAML_FIELD_END};
static const cyaml_schema_field_t memory_fields[] = {NUMBER("size", struct pst_raw_memory, size),
	CYAML_FIELD_BOOL("no-huge", CYAML_FLAG_OPTIONAL, struct pst_raw_memory, no_huge),
	CYAML_FIELD_END};
static const cyaml_schema_field_t rules_fields[] = {TEXT("file", WANT, struct pst_raw_rules, file),
	TEXT("cache", MAY, struct pst_raw_rules, cache),
	NUMBER("compile-cpu", struct pst_raw_rules, compile_cpu),
	NUMBER("compile-memory", struct pst_raw_rules, compile_memory), CYAML_FIELD_END};
static const cyaml_schema_field_t batch_fields[] = {NUMBER("bytes", struct pst_raw_batch, bytes),
	NUMBER("records", struct pst_raw_batch, records), NUMBER("age", struct pst_raw_batch, age),
	NUMBER("buffers", struct pst_raw_batch, buffers),
	NUMBER("lz4-acceleration", struct pst_raw_batch, lz4_acceleration), CYAML_FIELD_END};
static const cyaml_schema_field_t flush_fields[] = {NUMBER("bytes", struct pst_raw_flush, bytes),
	NUMBER("age", struct pst_raw_flush, age), CYAML_FIELD_END};
static const cyaml_schema_field_t sessions_fields[] = {NUMBER("max", struct pst_raw_sessions, max),
	NUMBER("gaps", struct pst_raw_sessions, gaps), CYAML_FIELD_END};
static const cyaml_schema_field_t sources_fields[] = {
	NUMBER("max", struct pst_raw_sources, max), CYAML_FIELD_END};
static const cyaml_schema_field_t kernel_path_fields[] = {
	NUMBER("receive-buffer", struct pst_raw_kernel_path, receive_buffer), CYAML_FIELD_END};
static const cyaml_schema_field_t quarantine_fields[] = {
	NUMBER("rate", struct pst_raw_quarantine, rate),
	NUMBER("bytes", struct pst_raw_quarantine, bytes),
	NUMBER("retain-bytes", struct pst_raw_quarantine, retain_bytes),
	NUMBER("retain-age", struct pst_raw_quarantine, retain_age),
	CYAML_FIELD_ENUM("on-failure", CYAML_FLAG_OPTIONAL, struct pst_raw_quarantine, on_failure,
		quarantine_on_failure_names, PST_ARRAY_CNT(quarantine_on_failure_names)),
	CYAML_FIELD_END};
static const cyaml_schema_field_t ledger_fields[] = {
	NUMBER("interval", struct pst_raw_ledger, interval),
	NUMBER("retain-bytes", struct pst_raw_ledger, retain_bytes),
	NUMBER("retain-age", struct pst_raw_ledger, retain_age), CYAML_FIELD_END};
static const cyaml_schema_field_t telemetry_fields[] = {
	TEXT("prefix", MAY, struct pst_raw_telemetry, prefix), CYAML_FIELD_END};

static const cyaml_schema_field_t metrics_fields[] = {
	TEXT("address", MAY, struct pst_raw_metrics, address),
	NUMBER("port", struct pst_raw_metrics, port), CYAML_FIELD_END};

static const cyaml_schema_field_t profile_fields[] = {
	TEXT("name", WANT, struct pst_raw_profile, name),
	SECTION("data", CYAML_FLAG_DEFAULT, data, data_fields),
	SECTION("cores", CYAML_FLAG_OPTIONAL, cores, cores_fields),
	CYAML_FIELD_ENUM("idle", CYAML_FLAG_OPTIONAL, struct pst_raw_profile, idle, idle_names,
		PST_ARRAY_CNT(idle_names)),
	SECTION("memory", CYAML_FLAG_OPTIONAL, memory, memory_fields),
	CYAML_FIELD_SEQUENCE_COUNT("ports", WANT, struct pst_raw_profile, ports, port_cnt,
		&port_schema, 1, PST_PORTS_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("listeners", WANT, struct pst_raw_profile, listeners,
		listener_cnt, &listener_schema, 1, PST_LISTENERS_MAX),
	/* Two less than the limit: the quarantine and the ledger are added. */
	CYAML_FIELD_SEQUENCE_COUNT("streams", WANT, struct pst_raw_profile, streams, stream_cnt,
		&stream_schema, 1, PST_STREAMS_MAX - 2),
	SECTION("rules", CYAML_FLAG_OPTIONAL, rules, rules_fields),
	SECTION("batch", CYAML_FLAG_OPTIONAL, batch, batch_fields),
	SECTION("flush", CYAML_FLAG_OPTIONAL, flush, flush_fields),
	SECTION("sessions", CYAML_FLAG_OPTIONAL, sessions, sessions_fields),
	SECTION("sources", CYAML_FLAG_OPTIONAL, sources, sources_fields),
	SECTION("kernel-path", CYAML_FLAG_OPTIONAL, kernel_path, kernel_path_fields),
	SECTION("quarantine", CYAML_FLAG_OPTIONAL, quarantine, quarantine_fields),
	SECTION("ledger", CYAML_FLAG_OPTIONAL, ledger, ledger_fields),
	SECTION("telemetry", CYAML_FLAG_OPTIONAL, telemetry, telemetry_fields),
	SECTION("metrics", CYAML_FLAG_OPTIONAL, metrics, metrics_fields), CYAML_FIELD_END};

const cyaml_schema_value_t pst_profile_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct pst_raw_profile, profile_fields)};
