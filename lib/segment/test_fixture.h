/* What the tests of this library share: a directory of their own, batches, an appender that is
 * driven until it rests. */
#ifndef PST_TEST_FIXTURE_H
#define PST_TEST_FIXTURE_H

#include <criterion/criterion.h>

#include "segment/log.h"
#include "segment/reader.h"

#define FIX_BATCHES_MAX 4096

struct fix_result {
	unsigned done_cnt;
	enum pst_append_status status[FIX_BATCHES_MAX]; /* by cookie - 1 */
	int64_t base_offset[FIX_BATCHES_MAX];
	uint64_t written_ns[FIX_BATCHES_MAX];
	unsigned order[FIX_BATCHES_MAX]; /* cookies - 1 as they came back */
};

struct fix {
	char path[128];
	struct pst_datadir *dir;
	struct pst_appender *app;
	int log_idx;
	struct pst_recovery recovery;
	uint64_t now_ns;
	uint8_t batch[PST_BATCH_WIRE_BYTES_MAX];
	uint32_t batch_bytes;
	struct fix_result *result;
	unsigned taken_cnt;
};

/* A directory below /tmp (memory: below /dev/shm); removed by fix_remove. */
void fix_path(char path[128], bool memory);
void fix_remove(const char *path);
/* From now on this process's mounts are its own, and go with it. False: not here, with errno. */
bool fix_private_mounts(void);

/* Defaults: topic "t", partition 0, segments of 1 MiB, flush at once. */
struct fix *fix_new(bool memory);
void fix_free(struct fix *f); /* closes what is open, removes the directory */
struct pst_log_config fix_log_config(void);
void fix_open(struct fix *f, const struct pst_log_config *config);
void fix_open_on(struct fix *f, struct pst_disk *disk, const struct pst_log_config *config);
/* -1 with *diag instead of a failed assertion. */
int fix_try_open(struct fix *f, struct pst_disk *disk, const struct pst_log_config *config,
	struct pst_diag *diag);
int fix_close(struct fix *f); /* orderly; returns pst_appender_destroy's answer */

/* Makes a batch of record_cnt plain records of value_len bytes each in f->batch. The value of the
 * record at offset o starts with the offset as text if first is what it will be given. */
uint32_t fix_batch(struct fix *f, unsigned record_cnt, uint32_t value_len, int64_t ts_ms);

/* Appends it, polling as long as there is no room. Cookies count from 1. */
void fix_append(struct fix *f);
void fix_poll(struct fix *f); /* a nanosecond later */
void fix_rest(struct fix *f); /* flush, and poll until idle */

/* Batches of 1, 2, 3, 1, 2 ... records, timestamps that also go back; then rests. */
void fix_append_some(struct fix *f, unsigned cnt, uint32_t value_len);

/* All of a file of the partition "t-0". NULL if it is missing. To be freed. */
uint8_t *fix_file(const struct fix *f, const char *name, size_t *len);
void fix_write_file(const struct fix *f, const char *name, const void *data, size_t len);
bool fix_exists(const struct fix *f, const char *name);

/* A copy of the directory as it is at this moment, as a killed process would have left it. */
struct fix *fix_snapshot(const struct fix *f, bool memory);
/* Without its marks: everything has to be looked at. */
void fix_forget_marks(const struct fix *f);

/* What the partition's .log files hold, all batches checked: 0, or what is wrong. Fills the number
 * of the next offset and, if indexes is set, compares the indexes with what a plain reading of
 * Kafka's rule gives (open: the last segment's .timeindex lacks the entry of closing). */
const char *fix_check(const struct fix *f, int64_t *next_offset, bool indexes, bool open);

/* Whether the last recovery's report has such an item, in its words. */
bool fix_recovery_says(const struct fix *f, const char *text);

/* verify finds nothing; what says when. */
void fix_expect_no_findings(const struct fix *f, const char *what);

/* Names in the partition's directory, sorted, joined by spaces. To be freed. */
char *fix_names(const struct fix *f);

#endif
