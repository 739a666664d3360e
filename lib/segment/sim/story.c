#include "segment/sim/story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/sim/life.h"

#define LIVES_MAX 5

static uint64_t
mix(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t state = a ^ b * UINT64_C(0xd6e8feb86659fd93) ^ c * UINT64_C(0xa0761d6478bd642f);
	sim_chance(&state);
	return sim_chance(&state);
}

/* ---- what is told ---- */

static uint64_t
pick(uint64_t *chance, const uint64_t *values, unsigned cnt)
{
	return values[sim_below(chance, cnt)];
}

static void
cast(struct sim_story *s)
{
	static const uint64_t segments[] = {9000, 20000, 40000, 70000, 200000};
	static const uint64_t flushes[] = {1, 1, 5000, 30000, 1000000};
	static const char *const topics[SIM_PARTITIONS_MAX] = {"t", "u", "t"};
	uint64_t *c = &s->chance;
	s->partition_cnt = 1 + (unsigned)sim_below(c, SIM_PARTITIONS_MAX);
	s->large = sim_below(c, 24) == 0;
	s->packed = sim_below(c, 3) == 0;
	s->unruly = sim_below(c, 4) != 0;
	s->flush_bytes = pick(c, flushes, PST_ARRAY_CNT(flushes));
	s->flush_age_ns = sim_below(c, 2) ? 1000000 : 50000000;
	for (unsigned i = 0; i < s->partition_cnt; i++) {
		struct pst_log_config *config = &s->config[i];
		config->topic = topics[i];
		config->segment_bytes_max = pick(c, segments, PST_ARRAY_CNT(segments));
		if (s->large)
			config->segment_bytes_max = 1800000;
		config->sealed = sim_below(c, 4) != 0;
		config->segment_age_max_ns = sim_below(c, 3) == 0 ? 400000000 : 0;
		if (sim_below(c, 3) == 0)
			config->retain_bytes = 2 * config->segment_bytes_max;
	}
	s->retain_bytes = sim_below(c, 6) == 0 ? 100000 : 0;
	if (sim_below(c, 5) == 0 && !s->large)
		s->capacity_blocks = 824 + sim_below(c, 40); /* 714 are the durable marks' */
}

/* What goes wrong in the next life. */
static void
mishap(struct sim_story *s)
{
	static const int errors[] = {-EIO, -ENOSPC, -ENOSPC, -ECANCELED, 0};
	static const struct {
		unsigned calls, at_max;
	} kinds[] = {
		{SIM_ANY & ~(SIM_READ | SIM_STAT), 400},
		{SIM_QUEUE_WRITE, 15},
		{SIM_QUEUE_WRITE, 15},
		{SIM_QUEUE_SYNC, 20},
		{SIM_TRUNCATE | SIM_OPEN, 60},
		{SIM_SYNC, 12},
	};
	uint64_t *c = &s->chance;
	s->fault = (struct sim_fault){0};
	if (s->plan->fault.at) {
		if (s->life == (s->plan->fault_in_recovery ? 1u : 0u))
			s->fault = s->plan->fault;
	} else if (sim_below(c, 2) == 0) {
		unsigned kind = (unsigned)sim_below(c, PST_ARRAY_CNT(kinds));
		s->fault = (struct sim_fault){
			.calls = kinds[kind].calls,
			.at = 1 + (unsigned)sim_below(c, kinds[kind].at_max),
			.for_ever = sim_below(c, 4) == 0,
			.error = errors[sim_below(c, PST_ARRAY_CNT(errors))],
		};
	}
	s->disk->fault = s->fault;
	s->harmed |= s->fault.at > 0;
	for (unsigned i = 0; i < s->partition_cnt; i++)
		s->history[i].may_leap |= s->fault.at && s->fault.error == -EIO &&
					  (s->fault.calls & (SIM_READ | SIM_STAT | SIM_OPEN));
}

static void
append(struct sim_story *s)
{
	unsigned p = (unsigned)sim_below(&s->chance, s->partition_cnt);
	struct sim_history *h = &s->history[p];
	uint32_t record_cnt = 1 + (uint32_t)sim_below(&s->chance, 3), len;
	uint32_t value_len = 20 + (uint32_t)sim_below(&s->chance, 3000);
	if (sim_below(&s->chance, 8) == 0)
		value_len = 3000 + (uint32_t)sim_below(&s->chance, 9000);
	if (s->large) {
		record_cnt = 8 + (uint32_t)sim_below(&s->chance, 12);
		value_len = 20000 + (uint32_t)sim_below(&s->chance, 10000);
	}
	uint32_t number = sim_history_add(h, record_cnt, value_len, s->packed, &len);
	struct sim_batch *batch = &h->batches[number];
	uintptr_t cookie = (uintptr_t)p << 32 | number;
	for (int i = 0; i < 2000; i++) {
		if (pst_append(s->app, s->log_idx[p], batch->buf, len, (void *)cookie, s->now_ns) ==
			0) {
			batch->offset = (int64_t)pst_load_be64(batch->buf);
			s->counts->batch_cnt++;
			return;
		}
		sim_life_poll(s);
		if (s->failed)
			return;
	}
	sim_fail(s, "no room for a batch for ever");
}

static void
pass_time(struct sim_story *s)
{
	uint64_t ns = 1000000 * (1 + sim_below(&s->chance, 60));
	if (sim_below(&s->chance, 20) == 0)
		ns = 1000000000;
	s->now_ns += ns;
	s->disk->now_ns = (int64_t)s->now_ns;
}

static void
live(struct sim_story *s)
{
	unsigned turns = 10 + (unsigned)sim_below(&s->chance, s->plan->fault.at ? 10 : 50);
	for (unsigned i = 0; i < turns && !s->failed; i++) {
		unsigned what = (unsigned)sim_below(&s->chance, 100);
		pass_time(s);
		if (what < 60)
			append(s);
		if (what % 4 != 0)
			sim_life_poll(s);
		if (what >= 60 && what < 75)
			pst_appender_flush(s->app);
		if (what >= 75 && what < 80)
			sim_life_poll_to_rest(s);
		if (what >= 80 && what < 86 && (what < 83 || pst_datadir_checkpoint_wanted(s->dir)))
			pst_datadir_checkpoint(s->dir);
		if (what >= 86 && what < 90)
			sim_life_read(s);
		if (what == 90 && s->disk->capacity_blocks)
			s->disk->capacity_blocks += 20;
	}
}

/* Ends this life and makes the disk of the next one. */
static void
end_life(struct sim_story *s)
{
	unsigned how = (unsigned)sim_below(&s->chance, 10);
	struct sim_disk *next = NULL;
	uint64_t choice;
	if (how < 4) {
		if (s->dir)
			sim_life_end(s, true);
		s->closed = s->disk->failed_cnt == 0 && !s->disk->capacity_blocks;
		next = sim_disk_restart(s->disk, &s->chance);
	} else if (how == 4) {
		if (s->dir)
			sim_life_end_late(s);
		next = sim_disk_restart(s->disk, &s->chance);
	} else if (how == 5) {
		next = sim_disk_restart(s->disk, &s->chance);
	} else {
		enum sim_loss loss = (enum sim_loss)sim_below(&s->chance, SIM_LOSS_CNT);
		next = sim_disk_new(sim_disk_lose_power(s->disk, loss, &s->chance, &choice),
			sim_chance(&s->chance));
		next->capacity_blocks = s->disk->capacity_blocks;
	}
	if (next->capacity_blocks)
		next->capacity_blocks += 10;
	s->disk->changed = NULL;
	if (s->dir)
		sim_life_end(s, false);
	if (s->disk->wrong)
		sim_fail(s, s->disk->wrong);
	if (sim_disk_open_cnt(s->disk) > 0)
		sim_fail(s, "files are left open");
	s->counts->mishap_cnt += s->disk->failed_cnt;
	sim_disk_free(s->disk);
	s->disk = next;
}

int
sim_story(const struct sim_plan *plan, unsigned idx, struct sim_counts *counts)
{
	struct sim_story *s = calloc(1, sizeof(*s));
	PST_ASSERT(s);
	s->plan = plan;
	s->idx = idx;
	s->look_variant = -1;
	s->counts = counts;
	s->seed = mix(plan->seed, idx, 0);
	s->chance = s->seed;
	s->look_chance = mix(plan->seed, idx, 1);
	s->now_ns = UINT64_C(1700000000000000000);
	cast(s);
	for (unsigned i = 0; i < s->partition_cnt; i++)
		s->config[i].partition = s->history[i].partition = i;
	s->disk = sim_disk_new(sim_image_new(), sim_chance(&s->chance));
	s->disk->capacity_blocks = s->capacity_blocks;
	unsigned lives = 2 + (unsigned)sim_below(&s->chance, LIVES_MAX - 1);
	for (s->life = 0; s->life < lives && !s->failed; s->life++) {
		s->counts->life_cnt++;
		s->disk->unruly = s->unruly;
		mishap(s);
		s->disk->changed = sim_look;
		s->disk->arg = s;
		if (sim_life_begin(s) == 0)
			live(s);
		if (!s->failed)
			end_life(s);
	}
	s->counts->story_cnt++;
	s->disk->changed = NULL;
	if (s->dir)
		sim_life_end(s, false);
	sim_disk_free(s->disk);
	for (unsigned i = 0; i < s->partition_cnt; i++)
		sim_history_fini(&s->history[i]);
	free(s->seen);
	int rc = s->failed ? -1 : 0;
	free(s);
	return rc;
}

int
sim_every_call(const struct sim_plan *plan, struct sim_counts *counts)
{
	static const int errors[] = {-EIO, -ENOSPC};
	for (unsigned e = 0; e < 8; e++) {
		struct sim_plan one = *plan;
		one.one_of = 16 * plan->one_of;
		one.fault_in_recovery = e & 4;
		one.fault = (struct sim_fault){
			.calls = SIM_ANY, .for_ever = e & 2, .error = errors[e & 1]};
		uint64_t before;
		do {
			before = counts->mishap_cnt;
			one.fault.at += plan->call_step;
			if (sim_story(&one, e, counts) < 0)
				return -1;
		} while (counts->mishap_cnt > before);
	}
	return 0;
}

void
sim_counts_print(const struct sim_counts *c, FILE *out)
{
	fprintf(out,
		"%llu states of %llu stories, %llu lives, %llu steps\n"
		"  batches: %llu, acknowledged %llu, not stored %llu, in doubt %llu\n"
		"  rolls %llu, segments retired %llu, calls failed %llu, disk full %llu, starts "
		"refused %llu\n"
		"  recoveries that cut %llu, that set aside %llu; verified %llu; batches found "
		"that "
		"nobody had acknowledged %llu\n",
		(unsigned long long)c->state_cnt, (unsigned long long)c->story_cnt,
		(unsigned long long)c->life_cnt, (unsigned long long)c->step_cnt,
		(unsigned long long)c->batch_cnt, (unsigned long long)c->durable_cnt,
		(unsigned long long)c->gone_cnt, (unsigned long long)c->doubt_cnt,
		(unsigned long long)c->roll_cnt, (unsigned long long)c->retired_cnt,
		(unsigned long long)c->mishap_cnt, (unsigned long long)c->full_cnt,
		(unsigned long long)c->failed_open_cnt, (unsigned long long)c->cut_cnt,
		(unsigned long long)c->set_aside_cnt, (unsigned long long)c->verify_cnt,
		(unsigned long long)c->undurable_found_cnt);
	for (int i = 0; i < SIM_ORIGIN_CNT; i++)
		fprintf(out, "  %-28s %llu\n", sim_origin_name(i),
			(unsigned long long)c->by_origin[i]);
}
