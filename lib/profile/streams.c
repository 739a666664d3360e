#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "profile/load.h"

#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define TIB    (UINT64_C(1) << 40)
#define SECOND UINT64_C(1000000000)
#define DAY    (86400 * SECOND)

#define SEGMENT_BYTES_MIN    MIB
#define SEGMENT_BYTES_MAX    GIB
#define RETAIN_BYTES_MAX     (1024 * TIB)
#define AGE_MAX              (36500 * DAY)
#define RETAIN_AGE_DEFAULT   (7 * DAY)
#define INTERNAL_SEGMENT_MAX (64 * MIB)
#define LEDGER_SEGMENT_MAX   (16 * MIB)
#define LEDGER_AGE_DEFAULT   (365 * DAY)

static const struct pst_number segment_bytes = {
	PST_NUMBER_BYTES, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, false};
static const struct pst_number retain_bytes = {
	PST_NUMBER_BYTES, SEGMENT_BYTES_MIN, RETAIN_BYTES_MAX, true};
static const struct pst_number age = {PST_NUMBER_DURATION, SECOND, AGE_MAX, true};

static void
stream_key(char key[64], uint32_t idx, const char *name)
{
	snprintf(key, 64, "streams[%u].%s", idx, name);
}

static int
check_name(struct pst_load *load, uint32_t idx, const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	char key[64];

	stream_key(key, idx, "name");
	if (strlen(name) > PST_NAME_MAX)
		return pst_load_fail(load, key, "give a shorter name",
			"%zu bytes, but a stream's name has at most %d", strlen(name),
			PST_NAME_MAX);
	if (name[strspn(name, allowed)] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return pst_load_fail(load, key,
			"use letters, digits, \".\", \"_\" and \"-\" (not \".\" or \"..\" alone)",
			"\"%.64s\" is not a name that a stream can have", name);
	if (strncmp(name, "penstock.", strlen("penstock.")) == 0)
		return pst_load_fail(load, key, "choose a name that does not begin so",
			"names that begin with \"penstock.\" are kept for the appliance");
	return 0;
}

/* Kafka's rule: "." and "_" are one in the names of its metrics. */
static bool
same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '.' ? '_' : *a) != (*b == '.' ? '_' : *b))
			return false;
	return *a == *b;
}

static int
check_unique(struct pst_load *load, uint32_t idx, const char *name)
{
	char key[64];

	stream_key(key, idx, "name");
	static const char *const internal[] = {PST_QUARANTINE, PST_LEDGER_STREAM};
	for (unsigned i = 0; i < PST_ARRAY_CNT(internal); i++)
		if (same_name(name, internal[i]))
			return pst_load_fail(load, key, "choose another name",
				"\"%s\" differs only by \".\" and \"_\" from %s", name,
				internal[i]);
	for (uint32_t other = 0; other < idx; other++) {
		const char *its = load->profile->streams[other].name;
		if (strcmp(its, name) == 0)
			return pst_load_fail(load, key, "declare each stream once",
				"streams[%u] is called \"%s\", too", other, name);
		if (same_name(its, name))
			return pst_load_fail(load, key, "choose another name",
				"\"%.64s\" and \"%.64s\" differ only by \".\" and \"_\"", its,
				name);
	}
	return 0;
}

static int
load_stream(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_stream *raw = &load->raw->streams[idx];
	struct pst_profile_stream *stream = &load->profile->streams[idx];
	char key[64], bytes[PST_NUMBER_TEXT];

	stream->name = raw->name;
	stream->on_failure = (enum pst_on_failure)raw->on_failure;
	stream->sealed = raw->seal == PST_RAW_SEAL_SHA256;
	stream->header_ts_ns = raw->headers & PST_RAW_HEADER_TS_NS;
	stream->header_rules = raw->headers & PST_RAW_HEADER_RULES;
	if (check_name(load, idx, raw->name) != 0 || check_unique(load, idx, raw->name) != 0)
		return -1;
	stream_key(key, idx, "segment-bytes");
	if (pst_load_number(load, key, raw->segment_bytes, &segment_bytes, SEGMENT_BYTES_MAX,
		    &stream->segment_bytes_max) != 0)
		return -1;
	stream_key(key, idx, "segment-age");
	if (pst_load_number(load, key, raw->segment_age, &age, DAY, &stream->segment_age_max_ns) !=
		0)
		return -1;
	stream_key(key, idx, "retain-age");
	if (pst_load_number(load, key, raw->retain_age, &age, RETAIN_AGE_DEFAULT,
		    &stream->retain_age_ns) != 0)
		return -1;
	stream_key(key, idx, "retain-bytes");
	if (pst_load_number(
		    load, key, raw->retain_bytes, &retain_bytes, 0, &stream->retain_bytes) != 0)
		return -1;
	if (stream->retain_bytes && stream->retain_bytes < stream->segment_bytes_max)
		return pst_load_fail(load, key, "raise it, or lower segment-bytes of the stream",
			"less than one segment (%s), and only whole closed segments are removed",
			pst_number_text(bytes, PST_NUMBER_BYTES, stream->segment_bytes_max));
	return 0;
}

/* Several segments within what is retained, so that it goes in small steps. */
static uint64_t
internal_segment(uint64_t bytes_retained, uint64_t bytes_max)
{
	if (bytes_retained == 0)
		return bytes_max;
	return pst_max_u64(SEGMENT_BYTES_MIN, pst_min_u64(bytes_max, bytes_retained / 4));
}

static int
load_ledger(struct pst_load *load, struct pst_profile_stream *stream)
{
	/* Below the control thread's own turn nothing would become finer. */
	static const struct pst_number interval = {
		PST_NUMBER_DURATION, SECOND / 10, 3600 * SECOND, false};
	const struct pst_raw_ledger *raw = &load->raw->ledger;

	stream->name = PST_LEDGER_STREAM;
	/* Losing its drive must not cost the others. */
	stream->on_failure = PST_ON_FAILURE_CONTINUE;
	stream->header_ts_ns = true;
	stream->segment_age_max_ns = DAY;
	if (pst_load_number(load, "ledger.retain-bytes", raw->retain_bytes, &retain_bytes, GIB,
		    &stream->retain_bytes) != 0 ||
		pst_load_number(load, "ledger.retain-age", raw->retain_age, &age,
			LEDGER_AGE_DEFAULT, &stream->retain_age_ns) != 0 ||
		pst_load_number(load, "ledger.interval", raw->interval, &interval, SECOND,
			&load->profile->ledger_interval_ns) != 0)
		return -1;
	stream->segment_bytes_max = internal_segment(stream->retain_bytes, LEDGER_SEGMENT_MAX);
	return 0;
}

static int
load_quarantine(struct pst_load *load, struct pst_profile_stream *stream)
{
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	static const struct pst_number rate = {PST_NUMBER_COUNT, 1, 1000000, true};
	static const struct pst_number bytes = {PST_NUMBER_BYTES, 64, 65535, false};
	uint64_t value = 0;

	stream->name = PST_QUARANTINE;
	/* What was refused is no reason to end what is taken. */
	stream->on_failure = raw->quarantine.on_failure
				     ? (enum pst_on_failure)(raw->quarantine.on_failure - 1)
				     : PST_ON_FAILURE_CONTINUE;
	stream->sealed = stream->header_ts_ns = stream->header_rules = true;
	stream->segment_age_max_ns = DAY;
	if (pst_load_number(load, "quarantine.retain-bytes", raw->quarantine.retain_bytes,
		    &retain_bytes, GIB, &stream->retain_bytes) != 0 ||
		pst_load_number(load, "quarantine.retain-age", raw->quarantine.retain_age, &age,
			RETAIN_AGE_DEFAULT, &stream->retain_age_ns) != 0)
		return -1;
	stream->segment_bytes_max = internal_segment(stream->retain_bytes, INTERNAL_SEGMENT_MAX);
	if (pst_load_number(load, "quarantine.rate", raw->quarantine.rate, &rate, 1000, &value) !=
		0)
		return -1;
	p->quarantine_rate = (uint32_t)value;
	if (pst_load_number(
		    load, "quarantine.bytes", raw->quarantine.bytes, &bytes, 4096, &value) != 0)
		return -1;
	p->quarantine_bytes_max = (uint32_t)value;
	return 0;
}

/* Only closed segments are removed, so the cap must hold one open segment of each partition. */
static int
check_cap(struct pst_load *load)
{
	struct pst_profile *p = load->profile;
	uint64_t open_bytes = 0;
	char remedy[160], bytes[PST_NUMBER_TEXT];

	for (uint16_t i = 0; i < p->stream_cnt; i++)
		open_bytes += p->streams[i].segment_bytes_max *
			      (i < p->queue_stream_cnt ? p->queue_cnt : 1);
	if (p->data_retain_bytes == 0 || p->data_retain_bytes >= open_bytes)
		return 0;
	snprintf(remedy, sizeof(remedy), "give at least %s, or lower segment-bytes of the streams",
		pst_number_text(bytes, PST_NUMBER_BYTES, open_bytes));
	return pst_load_fail(load, "data.retain-bytes", remedy,
		"cannot be kept: the open segments of %u streams and the quarantine's on %u "
		"queues, and the ledger's, may take more",
		p->declared_stream_cnt, p->queue_cnt);
}

int
pst_load_streams(struct pst_load *load)
{
	struct pst_profile *p = load->profile;
	uint32_t cnt = load->raw->stream_cnt;

	p->streams = calloc(cnt + 2, sizeof(p->streams[0]));
	if (!p->streams)
		return pst_load_fail(load, "streams", NULL, "out of memory");
	for (uint32_t i = 0; i < cnt; i++)
		if (load_stream(load, i) != 0)
			return -1;
	p->quarantine_stream_idx = (uint16_t)cnt;
	p->ledger_stream_idx = (uint16_t)(cnt + 1);
	p->declared_stream_cnt = (uint16_t)cnt;
	p->queue_stream_cnt = (uint16_t)(cnt + 1);
	p->stream_cnt = (uint16_t)(cnt + 2);
	if (load_quarantine(load, &p->streams[cnt]) != 0 ||
		load_ledger(load, &p->streams[cnt + 1]) != 0)
		return -1;
	if (pst_load_number(load, "data.retain-bytes", load->raw->data.retain_bytes, &retain_bytes,
		    0, &p->data_retain_bytes) != 0)
		return -1;
	return check_cap(load);
}
