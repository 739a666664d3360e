/* Segments prove themselves: what verify says of logs that were written, restarted, killed, and of
 * logs that somebody changed with all CRCs right. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/seal.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define LOG(n)  "000000000000000000" n ".log"
#define SEAL(n) "000000000000000000" n ".seal"

struct said {
	unsigned finding_cnt, partition_cnt, range_cnt;
	int64_t from, to, whole_to;
	struct pst_verify_range ranges[16];
	bool linked;
	struct pst_link link;
	char wrong[512];
	char text[8192];
};

static void
take_finding(void *arg, const char *partition, const char *file, uint64_t pos, bool harmless,
	const char *text)
{
	struct said *said = arg;
	size_t used = strlen(said->text);
	said->finding_cnt += !harmless;
	snprintf(said->text + used, sizeof(said->text) - used, "%s:%llu: %s%s\n", file,
		(unsigned long long)pos, harmless ? "note: " : "", text);
}

static void
take_partition(void *arg, const struct pst_verify_partition *p)
{
	struct said *said = arg;
	said->partition_cnt++;
	said->from = p->from;
	said->to = p->to;
	said->whole_to = p->whole_to;
	said->linked = p->linked;
	said->link = p->link;
	snprintf(said->wrong, sizeof(said->wrong), "%s", p->wrong ? p->wrong : "");
	cr_assert_leq(p->range_cnt, PST_ARRAY_CNT(said->ranges));
	said->range_cnt = p->range_cnt;
	if (p->range_cnt > 0)
		memcpy(said->ranges, p->ranges, p->range_cnt * sizeof(*p->ranges));
}

static struct said
verify(const struct fix *f, struct pst_anchor *anchor)
{
	struct said said = {0};
	struct pst_verify_totals totals;
	struct pst_verify_sink sink = {.arg = &said,
		.finding = take_finding,
		.partition = take_partition,
		.anchors = anchor,
		.anchor_cnt = anchor ? 1 : 0};
	cr_assert_eq(pst_verify_with(NULL, f->path, &sink, &totals), 0);
	cr_assert_eq(totals.finding_cnt, said.finding_cnt);
	return said;
}

/* The whole log is proven by one chain. */
static void
expect_sealed(const struct fix *f, int64_t from, int64_t to, const char *what)
{
	struct said said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s: %s", what, said.text);
	cr_assert_str_eq(said.wrong, "", "%s: %s", what, said.wrong);
	cr_assert_eq(said.from, from, "%s", what);
	cr_assert_eq(said.to, to, "%s: to %ld", what, (long)said.to);
	cr_assert_eq(said.whole_to, to, "%s", what);
	cr_assert_eq(said.range_cnt, 1, "%s: %u ranges: %s", what, said.range_cnt, said.text);
	cr_assert(said.ranges[0].sealed, "%s: %s", what, said.text);
	cr_assert(said.linked, "%s", what);
}

static void
expect_finding(const struct fix *f, int64_t whole_to, const char *text)
{
	struct said said = verify(f, NULL);
	cr_assert_gt(said.finding_cnt, 0, "not found: %s", text);
	cr_assert_not_null(strstr(said.text, text), "\"%s\" is not in:\n%s", text, said.text);
	cr_assert_eq(said.whole_to, whole_to, "whole to %ld, not %ld:\n%s", (long)said.whole_to,
		(long)whole_to, said.text);
}

static bool
said_by_recovery(const struct fix *f, const char *text)
{
	char line[512];
	for (uint32_t i = 0; i < f->recovery.item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
		pst_recovery_text(&f->recovery.items[i], line, sizeof(line));
		if (strstr(line, text))
			return true;
	}
	return false;
}

static struct pst_log_config
small(void)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 16000;
	return config;
}

static void
append(struct fix *f, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		fix_batch(f, 2, 800, 1000 + i);
		fix_append(f);
		fix_rest(f);
	}
}

static void
run(const struct fix *f, const char *fmt, const char *a, const char *b)
{
	char command[1024], script[512];
	snprintf(script, sizeof(script), fmt, a, b);
	snprintf(command, sizeof(command), "cd %s/t-0 && %s", f->path, script);
	cr_assert_eq(system(command), 0, "%s", command);
}

/* A closed log of three segments: nine batches of two events, nine, and six. */
static struct fix *
closed_log(void)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	fix_open(f, &config);
	append(f, 24);
	cr_assert_eq(fix_close(f), 0);
	cr_assert(fix_exists(f, LOG("18")) && fix_exists(f, LOG("36")));
	return f;
}

static void
sha256(const void *data, size_t len, uint8_t out[32])
{
	cr_assert(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL));
}

/* By the text of the format, without the code under test. */
Test(seal, is_the_chain_of_its_batches)
{
	struct fix *f = closed_log();
	static const char *const logs[] = {LOG("00"), LOG("18"), LOG("36")};
	static const char *const seals[] = {SEAL("00"), SEAL("18"), SEAL("36")};
	uint8_t h[64];
	sha256("penstock seal 1\nt-0\n0\n", 22, h);
	for (int s = 0; s < 3; s++) {
		size_t log_len, len;
		uint8_t *log = fix_file(f, logs[s], &log_len), *seal = fix_file(f, seals[s], &len);
		cr_assert_eq(len, 360);
		cr_assert_arr_eq(seal, "pst.seal\1\0\0\0", 12);
		cr_assert_eq(seal[12], s == 0 ? 2 : s == 1 ? 0 : 1, "flags");
		cr_assert_eq(seal[24], 18 * s);
		cr_assert_eq(seal[32], s == 2 ? 48 : 18 * (s + 1));
		cr_assert_eq(seal[40] | seal[41] << 8, (int)log_len);
		cr_assert_str_eq((char *)seal + 48, "t-0");
		cr_assert_arr_eq(seal + 264, h, 32, "first link of %d", s);
		for (size_t pos = 0; pos < log_len;) {
			size_t batch = 12 + pst_load_be32(log + pos + 8);
			sha256(log + pos, batch, h + 32);
			sha256(h, 64, h);
			pos += batch;
		}
		cr_assert_arr_eq(seal + 296, h, 32, "last link of %d", s);
		cr_assert_arr_eq(seal + 328, h, 32, "what follows %d", s);
		free(log);
		free(seal);
	}
	expect_sealed(f, 0, 48, "closed");
	fix_free(f);
}

Test(seal, goes_on_over_restarts)
{
	struct fix *f = closed_log();
	struct pst_log_config config = small();
	for (int i = 1; i < 6; i++) {
		fix_open(f, &config);
		cr_assert(f->recovery.clean);
		expect_sealed(f, 0, 48 + 10 * (i - 1), "open again");
		append(f, 5);
		expect_sealed(f, 0, 48 + 10 * i, "live");
		cr_assert_eq(fix_close(f), 0);
		expect_sealed(f, 0, 48 + 10 * i, "closed again");
	}
	fix_free(f);
}

/* Killed at every batch, with the marks of a checkpoint at every seventh; each copy goes on. */
Test(seal, goes_on_over_kills)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	fix_open(f, &config);
	for (int i = 1; i <= 30; i++) {
		append(f, 1);
		if (i % 7 == 0)
			cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
		for (int marks = 0; marks < 2; marks++) {
			struct fix *copy = fix_snapshot(f, true);
			if (!marks)
				fix_forget_marks(copy);
			fix_open(copy, &config);
			cr_assert(!said_by_recovery(copy, "seal"));
			append(copy, 12);
			expect_sealed(copy, 0, 2 * i + 24, "killed, live");
			cr_assert_eq(fix_close(copy), 0);
			expect_sealed(copy, 0, 2 * i + 24, "killed");
			fix_free(copy);
		}
	}
	fix_free(f);
}

/* All of the first segment was torn, and is set aside: the chain begins as if there had been none.
 */
Test(seal, begins_again_where_all_was_torn)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	size_t len;
	fix_open(f, &config);
	append(f, 2);
	struct fix *copy = fix_snapshot(f, true);
	uint8_t *log = fix_file(copy, LOG("00"), &len);
	log[200] ^= 1;
	fix_write_file(copy, LOG("00"), log, len);
	free(log);
	fix_open(copy, &config);
	cr_assert(said_by_recovery(copy, "set aside"));
	append(copy, 12);
	expect_sealed(copy, 0, 24, "live");
	cr_assert_eq(fix_close(copy), 0);
	expect_sealed(copy, 0, 24, "closed");
	fix_free(copy);
	fix_free(f);
}

/* From the mark on, not from the segment's begin: what lies before is not read again. */
Test(seal, goes_on_from_the_mark)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	size_t len;
	fix_open(f, &config);
	append(f, 20);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	append(f, 5);
	struct fix *copy = fix_snapshot(f, true);
	uint8_t *log = fix_file(copy, LOG("00"), &len);
	log[5000] ^= 1; /* would be noticed */
	fix_write_file(copy, LOG("00"), log, len);
	fix_open(copy, &config);
	cr_assert_eq(fix_close(copy), 0);
	cr_assert(!said_by_recovery(copy, "seal"));
	log[5000] ^= 1;
	fix_write_file(copy, LOG("00"), log, 25 * (len / 25));
	free(log);
	expect_sealed(copy, 0, 50, "put right again");
	fix_free(copy);
	fix_free(f);
}

/* A start that cannot read a segment begins the chain anew behind it, and says so. A later one that
 * can read it goes on with that chain: what is behind stays proven, by a chain of its own. */
Test(seal, goes_on_with_the_chain_of_the_mark)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	struct fault fault;
	fix_open(f, &config);
	append(f, 23);
	struct fix *unread = fix_snapshot(f, true);
	fault_init(&fault);
	fault.bad_name = LOG("18");
	fault.bad_bytes = 4096;
	fix_open_on(unread, &fault.disk, &config);
	cr_assert(said_by_recovery(unread, "begins anew with segment 36"));
	append(unread, 1);
	cr_assert_eq(pst_datadir_checkpoint(unread->dir), 0);
	struct fix *copy = fix_snapshot(unread, true);
	fix_free(unread);
	/* Killed while it wrote the segment's seal. */
	fix_write_file(copy, SEAL("36"), "torn", 4);
	struct said torn = verify(copy, NULL);
	cr_assert_eq(torn.finding_cnt, 1, "%s", torn.text);
	cr_assert_not_null(strstr(torn.text, "begins anew"), "%s", torn.text);
	run(copy, "rm 000000000000000000%s.seal%s", "36", "");
	for (unsigned i = 0; i < 2; i++) {
		fix_open(copy, &config);
		cr_assert(!said_by_recovery(copy, "seal"));
		append(copy, 6 * i);
		expect_finding(copy, 36, "the chain begins anew: the segment before could not");
		struct said said = verify(copy, NULL);
		cr_assert_eq(said.finding_cnt, 1, "%s", said.text);
		cr_assert_eq(said.to, 48 + 12 * i);
		cr_assert_eq(fix_close(copy), 0);
	}
	cr_assert(fix_exists(copy, LOG("54")), "the segment is closed by now");
	fix_free(copy);
	fault_fini(&fault);
	fix_free(f);
}

/* Retention, or an operator, left one segment only, and then the power went: the mark knows the
 * link before it. */
Test(seal, goes_on_in_the_only_segment)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	fix_open(f, &config);
	append(f, 23);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	append(f, 1);
	struct fix *copy = fix_snapshot(f, true);
	run(copy, "rm 000000000000000000%s.*%s", "00", "");
	run(copy, "rm 000000000000000000%s.*%s", "18", "");
	fix_open(copy, &config);
	cr_assert(!said_by_recovery(copy, "seal"));
	append(copy, 12);
	cr_assert_eq(fix_close(copy), 0);
	expect_sealed(copy, 36, 72, "one segment left");
	struct said whole = verify(f, NULL), left = verify(copy, NULL);
	struct pst_anchor anchor = {.offset = 48, .link = whole.link};
	cr_assert(whole.linked && left.linked);
	verify(copy, &anchor);
	cr_assert(anchor.met, "it is the same chain");
	fix_free(copy);
	fix_free(f);
}

/* A torn tail is cut: the chain goes on where the batches end. */
Test(seal, goes_on_over_a_cut)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	append(f, 6);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	append(f, 3);
	struct fix *copy = fix_snapshot(f, true);
	size_t len;
	uint8_t *log = fix_file(copy, LOG("00"), &len);
	size_t batch = 12 + pst_load_be32(log + 8);
	fix_write_file(copy, LOG("00"), log, 9 * batch - 100);
	free(log);
	fix_open(copy, &config);
	cr_assert_eq(copy->recovery.cut_bytes, batch - 100);
	cr_assert_eq(copy->recovery.next_offset, 16);
	append(copy, 2);
	cr_assert_eq(fix_close(copy), 0);
	expect_sealed(copy, 0, 20, "cut");
	fix_free(copy);
	fix_free(f);
}

/* A copy whose file was changed by `change`, and what is found there. */
typedef void (*change_fn)(uint8_t *log, size_t *len, size_t batch);

static struct fix *
changed(const struct fix *f, const char *name, change_fn change)
{
	struct fix *copy = fix_snapshot(f, true);
	size_t len;
	uint8_t *log = fix_file(copy, name, &len);
	change(log, &len, 12 + pst_load_be32(log + 8));
	fix_write_file(copy, name, log, len);
	free(log);
	return copy;
}

static void
fix_crc(uint8_t *batch)
{
	uint32_t len = 12 + pst_load_be32(batch + 8);
	pst_store_be32(batch + 17, pst_batch_crc32c(0, batch + 21, len - 21));
}

/* A timestamp of the header: no compression is in the way. */
static void
alter_the_fourth(uint8_t *log, size_t *len, size_t batch)
{
	uint8_t *b = log + 3 * batch;
	for (int at = 27; at <= 35; at += 8)
		pst_store_be64(b + at, pst_load_be64(b + at) + 3600000);
	fix_crc(b);
}

static void
swap_two(uint8_t *log, size_t *len, size_t batch)
{
	uint8_t *other = malloc(batch);
	uint8_t *a = log + 3 * batch, *b = log + 4 * batch;
	memcpy(other, a, batch);
	memcpy(a, b, batch);
	memcpy(b, other, batch);
	free(other);
	uint64_t first = pst_load_be64(b);
	pst_store_be64(b, pst_load_be64(a));
	pst_store_be64(a, first);
}

static void
drop_the_last(uint8_t *log, size_t *len, size_t batch)
{
	*len -= batch;
}

Test(seal, finds_what_was_altered_with_right_crcs)
{
	struct fix *f = closed_log(), *copy;
	copy = changed(f, LOG("18"), alter_the_fourth);
	expect_finding(copy, 18, LOG("18") ":0: altered: offsets 18 to 35");
	/* Nothing else could tell. */
	unlink(strcat(strcpy((char[300]){0}, copy->path), "/t-0/" SEAL("18")));
	fix_free(copy);
	copy = changed(f, LOG("00"), swap_two);
	expect_finding(copy, 0, LOG("00") ":0: altered: offsets 0 to 17");
	fix_free(copy);
	/* The last segment is sealed as far as it was when the daemon stopped. */
	copy = changed(f, LOG("36"), alter_the_fourth);
	expect_finding(copy, 36, LOG("36") ":0: altered: offsets 36 to 47");
	fix_free(copy);
	copy = changed(f, LOG("18"), drop_the_last);
	expect_finding(copy, 34, "ends with offset 34, sealed up to offset 36");
	fix_free(copy);
	fix_free(f);
}

/* The mark of a daemon that runs, or was killed, proves what no seal covers yet. */
Test(seal, finds_what_was_altered_behind_the_last_seal)
{
	struct fix *f = fix_new(true), *copy;
	struct pst_log_config config = small();
	fix_open(f, &config);
	append(f, 24);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	expect_sealed(f, 0, 48, "live");
	copy = changed(f, LOG("36"), alter_the_fourth);
	expect_finding(copy, 36, "do not lead to the link of the durable mark");
	fix_free(copy);
	fix_free(f);
}

Test(seal, names_the_mebibyte)
{
	struct fix *f = fix_new(true), *copy;
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 32 * 1024 * 1024;
	fix_open(f, &config);
	uint32_t total = 0;
	for (unsigned i = 0; i < 40; i++) {
		fix_batch(f, 9, 60000, 1000 + i);
		total += f->batch_bytes;
		fix_append(f);
	}
	fix_rest(f);
	cr_assert_eq(fix_close(f), 0);
	expect_sealed(f, 0, 360, "large");
	struct pst_seal seal;
	enum pst_seal_verdict verdict;
	cr_assert_eq(pst_seal_init(&seal), 0);
	int dir = pst_disk_real()->ops->open(pst_disk_real(), PST_DISK_CWD,
		strcat(strcpy((char[300]){0}, f->path), "/t-0"), PST_DISK_DIR);
	cr_assert_eq(pst_seal_load(&seal, pst_disk_real(), dir, 0, &verdict), 0);
	cr_assert_eq(verdict, PST_SEAL_OK);
	pst_disk_real()->ops->close(pst_disk_real(), dir);
	cr_assert_eq(seal.bytes, total);
	cr_assert_geq(seal.link_cnt, total / (3 * 1024 * 1024));
	int64_t from = 0;
	for (uint32_t i = 0; i < seal.link_cnt; i++) {
		cr_assert_geq(seal.links[i].position - (i ? seal.links[i - 1].position : 0),
			PST_SEAL_LINK_INTERVAL_BYTES);
		/* The fourth batch lies in exactly one of the stretches. */
		if (seal.links[i].next_offset <= 27)
			from = seal.links[i].next_offset;
	}
	copy = changed(f, LOG("00"), alter_the_fourth);
	struct said said = verify(copy, NULL);
	cr_assert_not_null(strstr(said.text, ": altered: "), "%s", said.text);
	cr_assert_eq(said.whole_to, from);
	fix_free(copy);
	pst_seal_fini(&seal);
	fix_free(f);
}

Test(seal, finds_segments_taken_out_or_put_in)
{
	struct fix *f = closed_log(), *copy;
	copy = fix_snapshot(f, true);
	run(copy, "rm 000000000000000000%s.*%s", "18", "");
	expect_finding(copy, 18, "offsets 18 to 35 before it are missing");
	fix_free(copy);
	/* The first ones: as after retention, and the first kept names what was before. */
	copy = fix_snapshot(f, true);
	run(copy, "rm 000000000000000000%s.*%s", "00", "");
	expect_sealed(copy, 18, 48, "retired");
	fix_free(copy);
	/* The last one: less than the mark promises. */
	copy = fix_snapshot(f, true);
	run(copy, "rm 000000000000000000%s.*%s", "36", "");
	cr_assert_gt(verify(copy, NULL).finding_cnt, 0);
	fix_free(copy);
	/* A segment of another log, of the same name and offsets. */
	struct fix *other = fix_new(true);
	struct pst_log_config config = small();
	fix_open(other, &config);
	other->taken_cnt = 3; /* other bytes */
	for (unsigned i = 0; i < 24; i++) {
		fix_batch(other, 2, 800, 1000 + i);
		other->taken_cnt = 3;
		fix_append(other);
		fix_rest(other);
	}
	cr_assert_eq(fix_close(other), 0);
	copy = fix_snapshot(f, true);
	run(copy, "cp %s/t-0/000000000000000000%s.* .", other->path, "18");
	expect_finding(copy, 18, SEAL("18") ":0: does not follow from the seal before");
	fix_free(copy);
	/* Only its seal. */
	copy = fix_snapshot(f, true);
	run(copy,
		"cp %s/t-0/"
		"000000000000000000%s.seal .",
		other->path, "18");
	expect_finding(copy, 18, SEAL("18") ":0: does not follow from the seal before");
	fix_free(copy);
	/* The seal of another segment. */
	copy = fix_snapshot(f, true);
	run(copy, "cp 000000000000000000%s.seal 000000000000000000%s.seal", "18", "00");
	expect_finding(copy, 0, "is the seal of t-0 and its segment 18, not of this one");
	fix_free(copy);
	fix_free(other);
	fix_free(f);
}

/* Without a seal file the chain is still known from the ones beside it. */
Test(seal, missing_ones_are_seen_and_made_again)
{
	struct fix *f = closed_log();
	struct pst_log_config config = small();
	size_t len, again_len;
	uint8_t *seal = fix_file(f, SEAL("18"), &len);
	run(f, "rm 000000000000000000%s.seal%s", "18", "");
	struct said said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s", said.text);
	cr_assert_not_null(strstr(said.text, SEAL("18") ":0: note: missing"));
	fix_open(f, &config);
	cr_assert(said_by_recovery(f, SEAL("18") " was missing: made again"));
	cr_assert_eq(fix_close(f), 0);
	uint8_t *again = fix_file(f, SEAL("18"), &again_len);
	cr_assert_not_null(again);
	cr_assert_eq(again_len, len);
	cr_assert_arr_eq(again, seal, len);
	expect_sealed(f, 0, 48, "made again");
	free(again);
	/* Of a segment that is not what was sealed behind it, none is made. */
	struct fix *copy = changed(f, LOG("18"), alter_the_fourth);
	run(copy, "rm 000000000000000000%s.seal%s", "18", "");
	fix_open(copy, &config);
	cr_assert(said_by_recovery(copy, "segment 18 is not what was sealed"));
	cr_assert_eq(fix_close(copy), 0);
	cr_assert_not(fix_exists(copy, SEAL("18")));
	cr_assert_gt(verify(copy, NULL).finding_cnt, 0);
	fix_free(copy);
	free(seal);
	fix_free(f);
}

/* Recovery reads everything, and leaves a seal that does not agree as it is. */
Test(seal, one_that_disagrees_stays)
{
	struct fix *f = closed_log(), *copy = changed(f, LOG("18"), alter_the_fourth);
	struct pst_log_config config = small();
	size_t len, after_len;
	uint8_t *seal = fix_file(copy, SEAL("18"), &len);
	fix_forget_marks(copy);
	fix_open(copy, &config);
	cr_assert(said_by_recovery(copy, "segment 18 is not what was sealed"));
	append(copy, 3);
	cr_assert_eq(fix_close(copy), 0);
	uint8_t *after = fix_file(copy, SEAL("18"), &after_len);
	cr_assert_eq(after_len, len);
	cr_assert_arr_eq(after, seal, len);
	expect_finding(copy, 18, "altered: offsets 18 to 35");
	free(after);
	free(seal);
	fix_free(copy);
	fix_free(f);
}

Test(seal, anchors_show_a_log_made_anew)
{
	struct fix *f = closed_log();
	struct said said = verify(f, NULL);
	struct pst_anchor anchor = {.offset = 48, .link = said.link};
	cr_assert(said.linked);
	verify(f, &anchor);
	cr_assert(anchor.met);
	struct pst_log_config config = small();
	fix_open(f, &config);
	append(f, 30);
	cr_assert_eq(fix_close(f), 0);
	anchor.met = false;
	verify(f, &anchor);
	cr_assert(anchor.met, "it is still there when the log has gone on");
	anchor.offset = 46;
	anchor.met = false;
	verify(f, &anchor);
	cr_assert_not(anchor.met, "not at another offset");
	/* Someone writes it all anew. */
	struct fix *other = fix_new(true);
	fix_open(other, &config);
	append(other, 23);
	fix_batch(other, 2, 800, 7777);
	fix_append(other);
	fix_rest(other);
	cr_assert_eq(fix_close(other), 0);
	expect_sealed(other, 0, 48, "made anew");
	anchor.offset = 48;
	anchor.met = false;
	verify(other, &anchor);
	cr_assert_not(anchor.met);
	fix_free(other);
	fix_free(f);
}

Test(seal, none_is_made_when_none_is_wanted)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	config.sealed = false;
	fix_open(f, &config);
	append(f, 24);
	cr_assert_eq(fix_close(f), 0);
	char *names = fix_names(f);
	cr_assert_null(strstr(names, ".seal"), "%s", names);
	free(names);
	struct said said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0);
	cr_assert_eq(said.range_cnt, 1);
	cr_assert_not(said.ranges[0].sealed);
	cr_assert_not(said.linked);
	/* Wanted from now on: from the segment being written. Then not any more. */
	config.sealed = true;
	fix_open(f, &config);
	append(f, 1);
	said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s", said.text);
	cr_assert(!said.ranges[0].sealed, "a chain that begins anew proves nothing before it");
	append(f, 23);
	cr_assert_eq(fix_close(f), 0);
	said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s", said.text);
	cr_assert_eq(said.range_cnt, 2);
	cr_assert(!said.ranges[0].sealed && said.ranges[0].to == 36);
	cr_assert(said.ranges[1].sealed && said.ranges[1].to == 96);
	config.sealed = false;
	fix_open(f, &config);
	append(f, 24);
	cr_assert_eq(fix_close(f), 0);
	said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s", said.text);
	cr_assert_eq(said.range_cnt, 3);
	cr_assert_eq(said.whole_to, 144);
	fix_free(f);
}

/* Each call of a roll and of the orderly end fails once, and each time the process is killed
 * behind it: what is found then is whole, and the chain has no seam. */
Test(seal, killed_and_failing_at_every_call)
{
	struct pst_log_config config = small();
	for (unsigned at = 1;; at++) {
		struct fix *f = fix_new(true);
		struct fault fault;
		struct pst_diag diag;
		char what[64];
		snprintf(what, sizeof(what), "call %u", at);
		fault_init(&fault);
		fix_open_on(f, &fault.disk, &config);
		append(f, 9);
		fault.calls = FAULT_ANY & ~(FAULT_QUEUE_SYNC | FAULT_SYNC);
		fault.error = -ENOSPC;
		fault.at = fault.seen_cnt + at;
		append(f, 2);
		bool seen = fault.failed_cnt > 0;
		struct fix *copy = fix_snapshot(f, true);
		int64_t next = f->app->logs[0]->durable.next_offset;
		fault.at = 0;
		/* Where it goes on by itself, so does the chain; an index may be missing. */
		append(f, 12);
		struct said said = verify(f, NULL);
		if (!f->app->logs[0]->failed) {
			cr_assert_str_eq(said.wrong, "", "%s: %s", what, said.wrong);
			cr_assert_eq(
				said.whole_to, f->app->logs[0]->durable.next_offset, "%s", what);
			cr_assert(said.range_cnt == 1 && said.ranges[0].sealed, "%s: %s", what,
				said.text);
		}
		fix_free(f);
		cr_assert_eq(fix_try_open(copy, pst_disk_real(), &config, &diag), 0, "%s", what);
		cr_assert_eq(copy->recovery.next_offset, next, "%s", what);
		append(copy, 12);
		expect_sealed(copy, 0, next + 24, what);
		cr_assert_eq(fix_close(copy), 0);
		expect_sealed(copy, 0, next + 24, what);
		fix_free(copy);
		fault_fini(&fault);
		if (!seen)
			break;
		cr_assert_lt(at, 500);
	}
}

Test(seal, retention_takes_them_along)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	config.retain_bytes = 16000;
	fix_open(f, &config);
	append(f, 60);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	for (int i = 0; i < 20; i++) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		fix_rest(f);
	}
	char *names = fix_names(f);
	cr_assert_null(strstr(names, SEAL("00")), "%s", names);
	struct said said = verify(f, NULL);
	cr_assert_eq(said.finding_cnt, 0, "%s", said.text);
	cr_assert_eq(said.range_cnt, 1);
	cr_assert(said.ranges[0].sealed);
	cr_assert_gt(said.from, 0);
	free(names);
	/* Killed between a segment's removal and that of its seal. */
	struct fix *copy = fix_snapshot(f, true);
	fix_write_file(copy, SEAL("00"), "pst.seal", 8);
	fix_open(copy, &config);
	cr_assert_not(fix_exists(copy, SEAL("00")));
	fix_free(copy);
	fix_free(f);
}

/* A start that makes a seal and an index again fails at every call: the next one brings it to the
 * end, whatever was left. */
Test(seal, made_again_by_a_start_that_fails)
{
	struct fix *f = closed_log();
	struct pst_log_config config = small();
	run(f, "rm 000000000000000000%s.seal 000000000000000000%s.index", "18", "18");
	for (unsigned at = 1;; at++) {
		struct fix *copy = fix_snapshot(f, true);
		struct fault fault;
		struct pst_diag diag;
		char what[64];
		snprintf(what, sizeof(what), "call %u", at);
		fault_init(&fault);
		fault.calls = FAULT_ANY;
		fault.error = -EIO;
		fault.at = at;
		fault.for_ever = true;
		bool failed = fix_try_open(copy, &fault.disk, &config, &diag) < 0;
		if (failed) {
			fix_open(copy, &config);
			fix_expect_no_findings(copy, what);
			cr_assert_eq(fix_close(copy), 0);
			expect_sealed(copy, 0, 48, what);
		} else {
			fix_close(copy);
		}
		fix_free(copy);
		fault_fini(&fault);
		if (!failed)
			break;
		cr_assert_lt(at, 500);
	}
	fix_free(f);
}

/* Power was lost in a roll: the segment has its seal, the next one is not there, and the log goes
 * on in the one that was sealed. */
Test(seal, goes_on_in_a_segment_that_was_sealed)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small();
	fix_open(f, &config);
	append(f, 9);
	struct fix *before = fix_snapshot(f, true);
	append(f, 1);
	cr_assert(fix_exists(f, SEAL("00")) && fix_exists(f, LOG("18")));
	size_t len;
	uint8_t *seal = fix_file(f, SEAL("00"), &len);
	fix_write_file(before, SEAL("00"), seal, len);
	free(seal);
	fix_free(f);
	fix_open(before, &config);
	seal = fix_file(before, SEAL("00"), &len);
	cr_assert(seal && seal[12] & PST_SEAL_OPEN, "it still says that nothing follows");
	free(seal);
	fix_batch(before, 1, 20, 2000);
	fix_append(before);
	fix_rest(before);
	cr_assert_not(fix_exists(before, LOG("18")));
	f = fix_snapshot(before, true);
	fix_forget_marks(f);
	fix_free(before);
	fix_open(f, &config);
	append(f, 12);
	expect_sealed(f, 0, 43, "killed behind the seal");
	cr_assert_eq(fix_close(f), 0);
	fix_free(f);
}

/* Retention was removing the segment before, and had come to its seal: what lies behind says
 * enough, and nothing is made up. */
Test(seal, none_is_made_up)
{
	struct fix *f = closed_log();
	struct pst_log_config config = small();
	run(f, "rm 000000000000000000%s.* 000000000000000000%s.seal", "00", "18");
	fix_forget_marks(f);
	fix_open(f, &config);
	cr_assert_not(fix_exists(f, SEAL("18")));
	fix_expect_no_findings(f, "a chain without its beginning");
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "closed");
	fix_free(f);
}
