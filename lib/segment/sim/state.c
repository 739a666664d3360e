/* States of a story: what a power loss or a kill would leave now, recovered and compared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/live.h"
#include "segment/sim/life.h"
#include "segment/verify/verify.h"

const char *
sim_origin_name(int origin)
{
	switch (origin) {
	case SIM_ORIGIN_KILLED:
		return "process killed";
	case SIM_ORIGIN_KILLED_IN_RECOVERY:
		return "process killed in recovery";
	case SIM_ORIGIN_IN_RECOVERY:
		return "power lost in recovery";
	case SIM_ORIGIN_AFTER_RECOVERY:
		return "power lost after recovery";
	default:
		return sim_loss_name((enum sim_loss)origin);
	}
}

#define FINDING_BYTES 200

struct state {
	struct sim_story *story;
	uint64_t chance;
	struct sim_disk *disk;
	bool cached; /* not all that it finds is on the drive */
	unsigned at; /* the change of recovery after which the power goes; 0: never */
	struct sim_disk *in_recovery;
	bool killed_in_recovery;
	struct sim_found found[SIM_PARTITIONS_MAX];
	unsigned change_cnt;
};

static void
fail(struct state *t, unsigned partition, int64_t offset, const char *what, const char *note)
{
	struct sim_story *s = t->story;
	size_t used = strlen(s->state);
	snprintf(s->state + used, sizeof(s->state) - used, ", partition %u, offset %lld: %s",
		partition, (long long)offset, note);
	sim_fail(s, what);
}

static void
recovery_changed(void *arg)
{
	struct state *t = arg;
	uint64_t choice;
	t->change_cnt++;
	if (t->change_cnt != t->at)
		return;
	unsigned loss = (unsigned)sim_below(&t->chance, SIM_LOSS_CNT + 2);
	t->killed_in_recovery = loss >= SIM_LOSS_CNT;
	if (t->killed_in_recovery)
		t->in_recovery = sim_disk_restart(t->disk, &t->chance);
	else
		t->in_recovery = sim_disk_new(
			sim_disk_lose_power(t->disk, (enum sim_loss)loss, &t->chance, &choice),
			sim_chance(&t->chance));
}

/* What was published to live readers must be there. */
static int64_t
published(struct sim_story *s, unsigned partition)
{
	struct pst_durable end;
	if (partition >= s->log_cnt)
		return 0;
	const struct pst_log *log = s->app->logs[s->log_idx[partition]];
	return pst_live_read(s->dir->live, (uint32_t)log->slot, &end, NULL) ? end.next_offset : 0;
}

static void
check_partition(struct state *t, const struct sim_logs *logs, unsigned p, struct sim_found *found)
{
	struct sim_story *s = t->story;
	struct pst_log_stats stats;
	int64_t offset;
	struct sim_history *h = &s->history[p];
	const struct pst_recovery *r = &logs->recovery[p];
	const char *wrong = sim_history_check(
		h, &t->disk->disk, s->config[p].topic, false, found, &offset);
	pst_log_stats(logs->app, logs->log_idx[p], &stats);
	if (!wrong && found->next < h->sure_end) {
		wrong = "acknowledged events are missing";
	} else if (!wrong && found->next < published(s, p)) {
		wrong = "published events are missing";
	} else if (!wrong && found->next != stats.next_offset) {
		wrong = "the log does not go on where it ends";
	}
	s->counts->cut_cnt += r->cut_bytes > 0;
	s->counts->set_aside_cnt += r->set_aside_bytes > 0;
	s->counts->undurable_found_cnt += found->undurable_cnt;
	if (wrong)
		fail(t, p, offset, wrong, sim_recovery_text(r));
}

/* Whether it is what a recovery leaves of a segment that it could not read. */
static bool
left_unreadable(const struct sim_story *s, const char *text)
{
	static const char *const texts[] = {
		" before it are missing",
		"damaged batch of offset ",
		"the chain begins anew",
		"is not what Kafka's recovery would build from the log",
	};
	for (unsigned i = 0; s->history[0].may_leap && i < PST_ARRAY_CNT(texts); i++) {
		if (strstr(text, texts[i]))
			return true;
	}
	return false;
}

/* Whether an index is missing that could not be written: until a start makes it anew. */
static bool
given_up(const struct sim_story *s, const char *text)
{
	return (s->harmed || s->capacity_blocks > 0) && strcmp(text, "missing") == 0;
}

/* Whether it is damage that a start found no space to set aside. */
static bool
left_in_place(const struct sim_story *s, const char *text)
{
	return (s->harmed || s->capacity_blocks > 0) &&
	       strstr(text, "damage that was not set aside");
}

struct findings {
	const struct sim_story *story;
	bool as_found; /* no start has looked at it */
	char first[FINDING_BYTES];
};

static void
take_finding(void *arg, const char *partition, const char *file, uint64_t pos, bool harmless,
	const char *text)
{
	struct findings *f = arg;
	if (!harmless && !f->first[0] && !left_unreadable(f->story, text) &&
		!left_in_place(f->story, text) && !(f->as_found && given_up(f->story, text)))
		snprintf(f->first, FINDING_BYTES, "%s/%s:%llu: %s", partition, file ? file : "",
			(unsigned long long)pos, text);
}

static void
check_verify(struct state *t, bool as_found)
{
	struct pst_verify_totals totals;
	struct findings f = {.story = t->story, .as_found = as_found};
	struct pst_verify_sink sink = {.arg = &f, .finding = take_finding};
	int rc = pst_verify_with(&t->disk->disk, "data", &sink, &totals);
	t->story->counts->verify_cnt++;
	if ((rc < 0 && !(as_found && rc == -ENOENT)) || f.first[0])
		fail(t, 0, 0,
			as_found ? "verify finds something before recovery"
				 : "verify finds something after recovery",
			f.first);
}

/* Somebody looks before the next start, be it with verify or a reader. */
static void
check_as_found(struct state *t)
{
	struct sim_story *s = t->story;
	if (s->history[0].may_leap)
		return;
	check_verify(t, true);
	for (unsigned p = 0; p < s->partition_cnt && !s->failed; p++) {
		struct sim_found found;
		int64_t offset;
		const char *wrong = sim_history_check(
			&s->history[p], &t->disk->disk, s->config[p].topic, false, &found, &offset);
		/* Of a partition that is not there yet nothing was acknowledged. */
		if (wrong && (offset >= 0 || s->history[p].sure_end > 0))
			fail(t, p, offset, "a reader finds something before recovery", wrong);
	}
}

/* Recovers t->disk and checks it; found is filled. */
static void
recover(struct state *t)
{
	struct sim_story *s = t->story;
	struct sim_logs logs;
	struct pst_diag diag;
	t->disk->changed = recovery_changed;
	t->disk->arg = t;
	t->change_cnt = 0;
	if (sim_logs_open(s, t->disk, &logs, &diag) < 0) {
		fail(t, 0, 0, "it cannot be opened", diag.text);
		return;
	}
	t->disk->changed = NULL;
	for (unsigned p = 0; p < s->partition_cnt && !s->failed; p++)
		check_partition(t, &logs, p, &t->found[p]);
	if (!s->failed && sim_below(&t->chance, 4) == 0)
		check_verify(t, false);
	/* The power goes now: what was recovered stays. */
	uint64_t choice;
	struct sim_image *after = NULL;
	if (t->at)
		after = sim_disk_lose_power(t->disk, SIM_LOSE_ALL, &t->chance, &choice);
	pst_appender_destroy(logs.app);
	pst_datadir_close(logs.dir);
	if (!s->failed && sim_disk_open_cnt(t->disk) > 0)
		fail(t, 0, 0, "files are left open", "");
	if (!s->failed && t->disk->wrong)
		fail(t, 0, 0, t->disk->wrong, "");
	sim_disk_free(t->disk);
	t->disk = after ? sim_disk_new(after, sim_chance(&t->chance)) : NULL;
}

static void
count(struct sim_story *s, int origin)
{
	s->counts->state_cnt++;
	s->counts->by_origin[origin]++;
}

/* Recovers disk a second time: the log must be the one found first, unless that was in the drive's
 * cache alone and the recovery did not get to its end. after: then the power goes once more. */
static void
recover_again(struct state *first, struct sim_disk *disk, int origin, bool after)
{
	struct sim_story *s = first->story;
	struct state t = {.story = s, .chance = sim_chance(&first->chance), .disk = disk};
	size_t used = strlen(s->state);
	snprintf(s->state + used, sizeof(s->state) - used, "; %s", sim_origin_name(origin));
	t.at = after ? UINT32_MAX : 0;
	if (origin != SIM_ORIGIN_AFTER_RECOVERY)
		check_as_found(&t);
	recover(&t);
	count(s, origin);
	bool same = !first->cached || origin == SIM_ORIGIN_AFTER_RECOVERY;
	for (unsigned p = 0; same && p < s->partition_cnt && !s->failed; p++) {
		if (t.found[p].sum != first->found[p].sum ||
			t.found[p].first != first->found[p].first ||
			t.found[p].next != first->found[p].next)
			fail(&t, p, t.found[p].next, "recovered twice, it is another log", "");
	}
	if (t.disk && !s->failed)
		recover_again(&t, t.disk, SIM_ORIGIN_AFTER_RECOVERY, false);
	else if (t.disk)
		sim_disk_free(t.disk);
	if (!s->failed)
		s->state[used] = '\0';
}

static void
check_state(struct state *t, int origin)
{
	struct sim_story *s = t->story;
	/* A start makes some ten changes, and more where there is something to mend. */
	t->at = 1 + (unsigned)sim_below(&t->chance, 12 + 10 * s->partition_cnt);
	t->disk->unruly = s->unruly;
	/* It takes its time, and nothing of it depends on what follows. */
	if ((t->chance >> 32) % 4 == 0)
		check_as_found(t);
	recover(t);
	count(s, origin);
	if (t->disk && !s->failed)
		recover_again(t, t->disk, SIM_ORIGIN_AFTER_RECOVERY, false);
	else if (t->disk)
		sim_disk_free(t->disk);
	if (t->in_recovery && !s->failed)
		recover_again(t, t->in_recovery,
			t->killed_in_recovery ? SIM_ORIGIN_KILLED_IN_RECOVERY
					      : SIM_ORIGIN_IN_RECOVERY,
			t->killed_in_recovery);
	else if (t->in_recovery)
		sim_disk_free(t->in_recovery);
}

static bool
seen(struct sim_story *s, uint64_t choice)
{
	for (unsigned i = 0; i < s->seen_cnt; i++) {
		if (s->seen[i] == choice)
			return true;
	}
	if (s->seen_cnt == s->seen_cap) {
		s->seen_cap = s->seen_cap ? 2 * s->seen_cap : 256;
		s->seen = realloc(s->seen, s->seen_cap * sizeof(*s->seen));
		PST_ASSERT(s->seen);
	}
	s->seen[s->seen_cnt++] = choice;
	return false;
}

static void
look(struct sim_story *s, unsigned variant)
{
	struct state t = {.story = s};
	uint64_t choice;
	s->look_variant = (int)variant;
	t.chance = s->seed ^ (uint64_t)s->step << 32 ^ (uint64_t)s->fault.at << 8 ^ variant;
	sim_chance(&t.chance);
	int origin = variant == 0 ? SIM_LOSE_ALL : (int)sim_below(&t.chance, SIM_LOSS_CNT + 3);
	if (origin > SIM_ORIGIN_KILLED)
		origin = SIM_LOSE_SOME;
	if (origin == SIM_ORIGIN_KILLED) {
		t.disk = sim_disk_restart(s->disk, &t.chance);
		t.disk->capacity_blocks = 0;
		t.cached = true;
		choice = ~(uint64_t)s->disk->change_cnt;
	} else {
		struct sim_image *image = sim_disk_lose_power(
			s->disk, (enum sim_loss)origin, &t.chance, &choice);
		t.disk = sim_disk_new(image, sim_chance(&t.chance));
	}
	choice ^= s->ack_cnt << 40 ^ (uint64_t)s->life << 56;
	snprintf(s->state, sizeof(s->state), "%u.%u.%u, %s", s->idx, s->step, variant,
		sim_origin_name(origin));
	if (seen(s, choice))
		sim_disk_free(t.disk);
	else
		check_state(&t, origin);
	s->look_variant = -1;
	s->state[0] = '\0';
}

void
sim_look(void *story)
{
	struct sim_story *s = story;
	const struct sim_plan *plan = s->plan;
	if (s->failed)
		return;
	sim_life_update_start(s);
	s->step++;
	s->counts->step_cnt++;
	bool now = sim_below(&s->look_chance, plan->one_of) == 0;
	if (plan->only.set) {
		if (plan->only.step == s->step)
			look(s, plan->only.variant);
		return;
	}
	for (unsigned v = 0; now && v < plan->variant_cnt && !s->failed; v++)
		look(s, v);
}
