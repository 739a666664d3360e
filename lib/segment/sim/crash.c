/* What a power loss leaves. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/sim/disk.h"

const char *
sim_loss_name(enum sim_loss loss)
{
	static const char *const names[SIM_LOSS_CNT] = {
		[SIM_LOSE_ALL] = "all in flight lost",
		[SIM_LOSE_NONE] = "all in flight kept",
		[SIM_LOSE_ONE] = "one effect lost",
		[SIM_KEEP_ONE] = "one effect kept",
		[SIM_LOSE_SOME] = "some lost, some torn",
	};
	return names[loss];
}

struct crash {
	const struct sim_disk *disk;
	struct sim_image *image;
	enum sim_loss loss;
	uint64_t *chance;
	uint64_t choice;
	unsigned keep_of_8; /* how many of eight are kept, on average */
	/* Per node: up to which effect changes of size got through. */
	uint64_t *size_seq;
	bool *touched;
	const struct sim_effect **lost_names; /* these, and later ones of the same names */
	unsigned lost_name_cnt;
};

static void
chose(struct crash *c, uint64_t what)
{
	c->choice = (c->choice ^ what) * UINT64_C(0x100000001b3);
	c->choice ^= c->choice >> 29;
}

static void
put_garbage(struct crash *c, const struct sim_effect *effect, uint64_t pos)
{
	uint8_t sector[SIM_SECTOR_BYTES];
	uint32_t cnt = sim_image_node_cnt(c->disk->durable);
	uint32_t other = (uint32_t)sim_below(c->chance, cnt);
	/* What an earlier file had there. Not at its beginning, where a batch that fits into the
	 * sector would be whole: nothing in it says which partition it was of. */
	bool stale = pos > 0 && other != effect->node &&
		     !sim_image_is_dir(c->disk->durable, other) &&
		     sim_image_read(c->disk->durable, other, sector, sizeof(sector), pos) ==
			     sizeof(sector);
	for (unsigned i = 0; !stale && i < sizeof(sector); i += 8) {
		uint64_t word = sim_chance(c->chance);
		memcpy(sector + i, &word, sizeof(word));
	}
	chose(c, stale ? other : sim_chance(c->chance));
	sim_image_write(c->image, effect->node, sector, sizeof(sector), pos);
}

static bool
kept(struct crash *c)
{
	return sim_below(c->chance, 8) < c->keep_of_8;
}

static void
put_torn(struct crash *c, const struct sim_effect *effect)
{
	/* Sectors by chance; or the first ones; or the last ones. */
	unsigned way = (unsigned)sim_below(c->chance, 4);
	uint64_t end = effect->pos + effect->len, from = effect->pos / SIM_SECTOR_BYTES;
	uint64_t cnt = (end + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES - from;
	uint64_t cut = sim_below(c->chance, cnt + 1);
	bool garbage = sim_below(c->chance, 4) == 0;
	for (uint64_t s = 0; s < cnt; s++) {
		bool keep = way == 0 ? s < cut : way == 1 ? s >= cut : kept(c);
		uint64_t pos = (from + s) * SIM_SECTOR_BYTES;
		uint64_t start = pst_max_u64(pos, effect->pos);
		uint64_t stop = pst_min_u64(pos + SIM_SECTOR_BYTES, end);
		if (keep)
			sim_image_write(c->image, effect->node,
				effect->data + (start - effect->pos), stop - start, start);
		else if (garbage && !sim_image_written(c->image, effect->node, pos) &&
			 sim_below(c->chance, 2))
			put_garbage(c, effect, pos);
		chose(c, keep);
	}
}

static void
put_bytes(struct crash *c, const struct sim_effect *effect, bool keep, bool whole)
{
	if (!whole) {
		put_torn(c, effect);
		return;
	}
	chose(c, keep);
	if (keep)
		sim_image_write(c->image, effect->node, effect->data, effect->len, effect->pos);
}

static void
put_names(struct crash *c, const struct sim_effect *effect, bool keep)
{
	for (unsigned i = 0; keep && i < c->lost_name_cnt; i++) {
		const struct sim_effect *lost = c->lost_names[i];
		if (lost->node != effect->node)
			continue;
		/* The order of one name's changes holds. */
		const char *mine[2] = {effect->from, effect->to};
		for (int m = 0; m < 2; m++)
			keep = keep && (!mine[m][0] || (strcmp(mine[m], lost->from) != 0 &&
							       strcmp(mine[m], lost->to) != 0));
	}
	chose(c, keep);
	if (keep)
		sim_effect_apply(c->image, effect);
	else
		c->lost_names[c->lost_name_cnt++] = effect;
}

/* Sizes go with the bytes, in their order, up to the one that got through. */
static void
put(struct crash *c, const struct sim_effect *effect, bool keep, bool whole)
{
	uint32_t node = effect->node;
	if (effect->kind == SIM_NAMES) {
		put_names(c, effect, keep);
		return;
	}
	if (effect->kind == SIM_BYTES)
		put_bytes(c, effect, keep, whole);
	c->touched[node] = true;
	if (effect->seq > c->size_seq[node])
		return;
	uint64_t bytes = sim_image_bytes(c->image, node);
	uint64_t to = effect->kind == SIM_SIZE ? effect->pos
					       : pst_max_u64(bytes, effect->pos + effect->len);
	chose(c, to);
	if (to != bytes)
		sim_image_resize(c->image, node, to);
}

struct sim_image *
sim_disk_lose_power(
	const struct sim_disk *disk, enum sim_loss loss, uint64_t *chance, uint64_t *choice)
{
	unsigned effect_cnt = 0;
	for (const struct sim_effect *e = disk->first; e; e = e->next)
		effect_cnt++;
	struct crash c = {.disk = disk, .loss = loss, .chance = chance};
	/* Without anything in flight the image changes with a sync only. */
	c.choice = loss == SIM_LOSE_ALL || !disk->first ? UINT64_C(1) << 63 | disk->durable_cnt
							: disk->change_cnt;
	uint32_t node_cnt = sim_image_node_cnt(disk->durable);
	c.image = sim_image_copy(disk->durable);
	c.size_seq = calloc(node_cnt, sizeof(*c.size_seq));
	c.touched = calloc(node_cnt, sizeof(*c.touched));
	c.lost_names = calloc(effect_cnt + 1, sizeof(*c.lost_names));
	PST_ASSERT(c.size_seq && c.touched && c.lost_names);
	c.keep_of_8 = 1 + (unsigned)sim_below(chance, 7);
	for (uint32_t n = 0; n < node_cnt; n++) {
		if (loss == SIM_LOSE_ALL || loss == SIM_KEEP_ONE)
			continue;
		c.size_seq[n] = UINT64_MAX;
		if (loss == SIM_LOSE_SOME && effect_cnt && sim_below(chance, 4) == 0)
			c.size_seq[n] = disk->first->seq - 1 +
					sim_below(chance, disk->last->seq - disk->first->seq + 2);
	}
	unsigned one = effect_cnt ? (unsigned)sim_below(chance, effect_cnt) : 0, i = 0;
	for (const struct sim_effect *e = disk->first; e; e = e->next, i++) {
		bool keep = loss == SIM_LOSE_NONE || (loss == SIM_LOSE_ONE && i != one) ||
			    (loss == SIM_KEEP_ONE && i == one);
		if (loss == SIM_KEEP_ONE && i == one)
			c.size_seq[e->node] = e->seq;
		bool whole = loss != SIM_LOSE_SOME || sim_below(chance, 2);
		if (loss == SIM_LOSE_SOME)
			keep = kept(&c);
		put(&c, e, keep, whole);
	}
	/* Bytes beyond the size are gone. */
	for (uint32_t n = 0; n < node_cnt; n++) {
		if (c.touched[n])
			sim_image_resize(c.image, n, sim_image_bytes(c.image, n));
	}
	*choice = c.choice;
	free(c.size_seq);
	free(c.touched);
	free(c.lost_names);
	return c.image;
}

struct sim_disk *
sim_disk_restart(const struct sim_disk *disk, uint64_t *chance)
{
	struct sim_disk *copy = sim_disk_new(sim_image_copy(disk->durable), sim_chance(chance));
	copy->seq = disk->seq;
	copy->now_ns = disk->now_ns;
	copy->capacity_blocks = disk->capacity_blocks;
	if (disk->failed_sync_cnt == 0) {
		sim_image_free(copy->view);
		copy->view = sim_image_copy(disk->view);
	}
	for (const struct sim_effect *e = disk->first; e; e = e->next) {
		/* What was in flight lands, or not, before the successor has the lock. */
		if (!e->ended_seq && sim_below(chance, 2))
			continue;
		struct sim_effect *effect = sim_effect_add(copy, e->kind, e->node);
		struct sim_effect *next = effect->next;
		*effect = *e;
		effect->next = next;
		if (e->data) {
			effect->data = malloc(e->len);
			PST_ASSERT(effect->data);
			memcpy(effect->data, e->data, e->len);
		}
		if (!e->ended_seq || disk->failed_sync_cnt > 0)
			sim_effect_end(copy, effect);
	}
	return copy;
}
