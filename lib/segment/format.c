#include "segment/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define OFFSET_DIGITS 20

static const char *const suffixes[PST_SEGMENT_FILE_CNT] = {
	[PST_SEGMENT_LOG] = ".log",
	[PST_SEGMENT_INDEX] = ".index",
	[PST_SEGMENT_TIMEINDEX] = ".timeindex",
	[PST_SEGMENT_SEAL] = ".seal",
};

void
pst_segment_name(char name[PST_SEGMENT_NAME_BYTES], int64_t base_offset, enum pst_segment_file file)
{
	PST_ASSERT(base_offset >= 0);
	snprintf(name, PST_SEGMENT_NAME_BYTES, "%020" PRId64 "%s", base_offset, suffixes[file]);
}

/* Nobody counts as far as this. A file whose name does is not a segment: behind it there would be
 * no offset left for the next event. */
#define BASE_OFFSET_MAX (INT64_C(1) << 62)

/* Twenty digits of at most BASE_OFFSET_MAX; -1 if not. */
static int64_t
parse_offset(const char *name)
{
	int64_t v = 0;
	for (int i = 0; i < OFFSET_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, name[i] - '0', &v))
			return -1;
	}
	return v <= BASE_OFFSET_MAX ? v : -1;
}

bool
pst_segment_name_parse(const char *name, int64_t *base_offset, enum pst_segment_file *file)
{
	int64_t base = parse_offset(name);
	if (base < 0)
		return false;
	for (int f = 0; f < PST_SEGMENT_FILE_CNT; f++) {
		if (strcmp(name + OFFSET_DIGITS, suffixes[f]) == 0) {
			*base_offset = base;
			*file = (enum pst_segment_file)f;
			return true;
		}
	}
	return false;
}

bool
pst_segment_name_damaged(const char *name, int64_t *base_offset)
{
	static const char mark[] = ".log.damaged-";
	int64_t base = parse_offset(name);
	if (base < 0 || strncmp(name + OFFSET_DIGITS, mark, sizeof(mark) - 1) != 0)
		return false;
	*base_offset = base;
	return true;
}

bool
pst_topic_valid(const char *topic)
{
	size_t len = strlen(topic);
	if (len < 1 || len > PST_TOPIC_LEN_MAX || strcmp(topic, ".") == 0 ||
		strcmp(topic, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = topic[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

void
pst_log_dir_name(char name[PST_LOG_DIR_NAME_BYTES], const char *topic, uint32_t partition)
{
	PST_ASSERT(pst_topic_valid(topic));
	snprintf(name, PST_LOG_DIR_NAME_BYTES, "%s-%" PRIu32, topic, partition);
}

bool
pst_log_dir_parse(const char *name, char *topic, uint32_t *partition)
{
	const char *dash = strrchr(name, '-');
	if (!dash || dash == name || (size_t)(dash - name) > PST_TOPIC_LEN_MAX)
		return false;
	uint64_t number = 0;
	size_t digits = strlen(dash + 1);
	if (digits < 1 || digits > 10 || (digits > 1 && dash[1] == '0'))
		return false;
	for (const char *p = dash + 1; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		number = number * 10 + (uint64_t)(*p - '0');
	}
	if (number > INT32_MAX)
		return false;
	char copy[PST_TOPIC_LEN_MAX + 1];
	memcpy(copy, name, (size_t)(dash - name));
	copy[dash - name] = '\0';
	if (!pst_topic_valid(copy))
		return false;
	strcpy(topic, copy);
	*partition = (uint32_t)number;
	return true;
}

void
pst_index_begin(struct pst_index_state *state, int64_t base_offset)
{
	*state = (struct pst_index_state){
		.base_offset = base_offset,
		.best_ts_ms = -1,
		.best_offset = base_offset,
		.time_entry_ms = -1,
	};
}

static bool
time_entry(struct pst_index_state *state, struct pst_time_entry *time)
{
	if (state->best_ts_ms <= state->time_entry_ms)
		return false;
	pst_store_be64(time->timestamp_be, (uint64_t)state->best_ts_ms);
	pst_store_be32(time->offset_be, (uint32_t)(state->best_offset - state->base_offset));
	state->time_entry_ms = state->best_ts_ms;
	return true;
}

void
pst_index_batch(struct pst_index_state *state, uint64_t pos, int64_t last_offset, int64_t max_ts_ms,
	struct pst_index_step *step)
{
	step->has_index = step->has_time = false;
	if (max_ts_ms > state->best_ts_ms) {
		state->best_ts_ms = max_ts_ms;
		state->best_offset = last_offset;
	}
	if (pos - state->indexed_pos <= PST_INDEX_INTERVAL_BYTES)
		return;
	step->has_index = true;
	pst_store_be32(&step->index.offset_be, (uint32_t)(last_offset - state->base_offset));
	pst_store_be32(&step->index.position_be, (uint32_t)pos);
	step->has_time = time_entry(state, &step->time);
	state->indexed_pos = pos;
}

bool
pst_index_end(struct pst_index_state *state, struct pst_time_entry *time)
{
	return time_entry(state, time);
}
