/* What a stream holds, counted by reading it back: every batch's CRC is checked on the way, and of
 * MoldUDP64 sessions each number from 1 to the highest is looked for.
 *
 *   readback DATA TOPIC      prints one JSON object; 1: damage */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "segment/reader.h"

#define SESSION_CNT_MAX 1024

struct session {
	uint8_t key[PST_BATCH_KEY_MAX];
	uint32_t key_len;
	uint64_t *seen; /* a bit for each number below word_cnt * 64 */
	uint64_t word_cnt;
	uint64_t highest;
	uint64_t unique, duplicated;
};

static struct session sessions[SESSION_CNT_MAX];
static uint32_t session_cnt;
static uint64_t record_cnt, value_bytes, unnumbered;
static const char *topic_wanted;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "readback: %s: %s\n", what, why);
	exit(1);
}

static struct session *
session_of(const struct pst_batch_record *record)
{
	static struct session *latest = sessions;

	if (latest->key_len == record->key_len && session_cnt > 0 &&
		memcmp(latest->key, record->key, record->key_len) == 0)
		return latest;
	for (uint32_t i = 0; i < session_cnt; i++) {
		latest = &sessions[i];
		if (latest->key_len == record->key_len &&
			memcmp(latest->key, record->key, record->key_len) == 0)
			return latest;
	}
	if (session_cnt == SESSION_CNT_MAX || record->key_len > PST_BATCH_KEY_MAX)
		die(topic_wanted, "too many sessions");
	latest = &sessions[session_cnt++];
	memcpy(latest->key, record->key, record->key_len);
	latest->key_len = record->key_len;
	return latest;
}

static void
count_number(struct session *s, uint64_t seq)
{
	uint64_t word = seq / 64, bit = UINT64_C(1) << seq % 64;

	if (word >= s->word_cnt) {
		uint64_t grown = pst_max_u64(word + 1, 2 * s->word_cnt);
		s->seen = realloc(s->seen, grown * sizeof(*s->seen));
		if (!s->seen)
			die(topic_wanted, "no memory");
		memset(s->seen + s->word_cnt, 0, (grown - s->word_cnt) * sizeof(*s->seen));
		s->word_cnt = grown;
	}
	if (s->seen[word] & bit)
		s->duplicated++;
	else
		s->unique++;
	s->seen[word] |= bit;
	s->highest = pst_max_u64(s->highest, seq);
}

static int
read_partition(void *arg, const char *topic, uint32_t partition)
{
	struct pst_batch_record record;
	enum pst_read_result result;
	struct pst_reader *reader;
	struct pst_diag diag;

	if (strcmp(topic, topic_wanted) != 0)
		return 0;
	if (pst_reader_open(arg, topic, partition, &reader, &diag) != 0) {
		pst_diag_print(stderr, &diag);
		exit(1);
	}
	pst_reader_seek(reader, pst_reader_earliest(reader));
	while ((result = pst_reader_next(reader, &record, &diag)) == PST_READ_RECORD) {
		record_cnt++;
		value_bytes += record.value_len;
		if (record.has_seq)
			count_number(session_of(&record), record.seq);
		else
			unnumbered++;
	}
	if (result == PST_READ_DAMAGE) {
		pst_diag_print(stderr, &diag);
		exit(1);
	}
	pst_reader_close(reader);
	return 0;
}

int
main(int argc, char **argv)
{
	uint64_t unique = 0, duplicated = 0, missing = 0;

	if (argc != 3)
		die("usage", "readback DATA TOPIC");
	topic_wanted = argv[2];
	if (pst_reader_list(argv[1], read_partition, argv[1]) != 0)
		die(argv[1], "cannot be listed");
	for (uint32_t i = 0; i < session_cnt; i++) {
		unique += sessions[i].unique;
		duplicated += sessions[i].duplicated;
		missing += sessions[i].highest - sessions[i].unique;
	}
	printf("{\"events\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"unnumbered\": %" PRIu64
	       ", \"sessions\": %u, \"unique\": %" PRIu64 ", \"duplicated\": %" PRIu64
	       ", \"missing\": %" PRIu64 "}\n",
		record_cnt, value_bytes, unnumbered, session_cnt, unique, duplicated, missing);
	return 0;
}
