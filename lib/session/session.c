/* Memory of a table, in this order, each part on a cache line of its own:
 *
 *   | table | slots: hash -> session index + 1, 0 free | sessions by creation | ranges of each |
 *   | ring of reports |
 *
 * A session's missing ranges are a ring, sorted: the lowest goes and the highest comes at no cost,
 * and what lies between moves by the shorter way. */
#include "session/session.h"

#include <assert.h>
#include <sys/random.h>

#include "base/base.h"
#include "base/observes.h"

#define COUNT_LIMIT (UINT32_C(1) << 24)
#define REPORT_CNT  4096u /* a power of two: a reader that comes ten times a second has time */

struct key {
	uint64_t head; /* the first eight bytes of the id */
	uint32_t tail; /* the last two, and the listener */
};

struct session {
	struct pst_session hot;
	struct key key;
	uint32_t range_first; /* place of the lowest range in ranges[] */
	uint32_t range_cnt;
	struct pst_session_range *ranges; /* range_cap of them */
	uint32_t range_cap;
	bool ended;
	bool silent; /* a report found no room: nothing more until it is copied */
	/* from here on: not touched by messages in order */
	uint64_t joined_at;
	uint64_t lost_from; /* span of the ranges given up, inclusive; from above to: none */
	uint64_t lost_to;
	uint64_t duplicate, late, untracked, reopened;
	uint64_t gap_messages, missing, gap_cnt, gap_lost_ranges, lost_messages;
	uint64_t first_seen_ns;
	struct pst_session_table *table;
} PST_CACHE_ALIGNED;
static_assert(offsetof(struct session, hot) == 0, "pst_session is its beginning");
static_assert(offsetof(struct session, range_cap) <= PST_CACHE_LINE, "one line in order");

struct pst_session_table {
	struct session *sessions;
	struct session *latest; /* packets of a session come in trains */
	uint32_t *slots;
	struct pst_session_range *ranges;
	uint64_t hash_seed;
	uint64_t full_cnt;
	uint32_t session_cnt;
	uint32_t session_cnt_max;
	uint32_t range_cnt_max;
	uint32_t slot_mask;
	/* reports */
	struct pst_session_report *reports;
	struct pst_session_report gathered; /* the run under way; from 0: none */
	uint32_t silent_cursor;
	/* Written by the owner, read by the reader. */
	_Atomic uint32_t silent_cnt;
	_Atomic uint64_t silenced_cnt;
	_Atomic uint64_t report_head PST_CACHE_ALIGNED; /* reports ever put in */
	/* Written by the reader, read by the owner. */
	_Atomic uint64_t report_tail PST_CACHE_ALIGNED; /* and taken */
} PST_CACHE_ALIGNED;

/* Twice as many slots as sessions at least, so that a probe is short. */
static uint32_t
slot_cnt(uint32_t session_cnt_max)
{
	uint32_t cnt = 16;
	while (cnt < 2 * session_cnt_max)
		cnt *= 2;
	return cnt;
}

static uint64_t
slots_bytes(uint32_t session_cnt_max)
{
	return pst_align_up(slot_cnt(session_cnt_max) * sizeof(uint32_t), PST_CACHE_LINE);
}

static uint64_t
ranges_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max)
{
	return pst_align_up(
		(uint64_t)session_cnt_max * range_cnt_max * sizeof(struct pst_session_range),
		PST_CACHE_LINE);
}

uint64_t
pst_session_table_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max)
{
	PST_ASSERT(session_cnt_max > 0 && session_cnt_max < COUNT_LIMIT);
	PST_ASSERT(range_cnt_max > 0 && range_cnt_max < COUNT_LIMIT);
	return sizeof(struct pst_session_table) + slots_bytes(session_cnt_max) +
	       session_cnt_max * sizeof(struct session) +
	       ranges_bytes(session_cnt_max, range_cnt_max) +
	       REPORT_CNT * sizeof(struct pst_session_report);
}

struct pst_session_table *
pst_session_table_init(void *mem, uint32_t session_cnt_max, uint32_t range_cnt_max)
{
	struct pst_session_table *table = mem;
	uint8_t *at = mem;

	PST_ASSERT((uintptr_t)mem % PST_CACHE_LINE == 0);
	memset(mem, 0, pst_session_table_bytes(session_cnt_max, range_cnt_max));
	at += sizeof(*table);
	table->slots = (uint32_t *)at;
	at += slots_bytes(session_cnt_max);
	table->sessions = (struct session *)at;
	at += session_cnt_max * sizeof(struct session);
	table->ranges = (struct pst_session_range *)at;
	at += ranges_bytes(session_cnt_max, range_cnt_max);
	table->reports = (struct pst_session_report *)at;
	table->session_cnt_max = session_cnt_max;
	table->range_cnt_max = range_cnt_max;
	table->slot_mask = slot_cnt(session_cnt_max) - 1;
	/* Senders choose the names: let them not choose the collisions. Nothing else hangs on the
	 * seed, so a kernel that gives none is no reason to refuse. */
	if (getrandom(&table->hash_seed, sizeof(table->hash_seed), GRND_NONBLOCK) < 0)
		table->hash_seed = (uintptr_t)mem;
	return table;
}

static struct key
key_of(uint16_t listener_idx, const uint8_t id[PST_MOLD_SESSION_LEN])
{
	struct key key;
	uint16_t last_two;
	memcpy(&key.head, id, sizeof(key.head));
	memcpy(&last_two, id + sizeof(key.head), sizeof(last_two));
	key.tail = (uint32_t)listener_idx << 16 | last_two;
	return key;
}

static bool
key_equal(const struct key *a, const struct key *b)
{
	return a->head == b->head && a->tail == b->tail;
}

/* The slot that holds the key, or the free one where it would go. */
static uint32_t *
slot_of(struct pst_session_table *table, const struct key *key)
{
	unsigned __int128 product = (unsigned __int128)(key->head ^ table->hash_seed) *
				    (key->tail ^ UINT64_C(0x9e3779b97f4a7c15));
	uint32_t slot = (uint32_t)(product >> 64) ^ (uint32_t)(product >> 20);
	for (;; slot++) {
		uint32_t *at = &table->slots[slot & table->slot_mask];
		if (*at == 0 || key_equal(&table->sessions[*at - 1].key, key))
			return at;
	}
}

static struct session *
session_find(struct pst_session_table *table, const struct key *key)
{
	if (table->latest && key_equal(&table->latest->key, key))
		return table->latest;
	uint32_t idx = *slot_of(table, key);
	return idx ? &table->sessions[idx - 1] : NULL;
}

static struct session *
session_create(
	struct pst_session_table *table, const struct key *key, uint64_t sequence, uint64_t now_ns)
{
	uint32_t idx = table->session_cnt++;
	struct session *session = &table->sessions[idx];

	*slot_of(table, key) = idx + 1;
	session->hot.next = sequence;
	session->key = *key;
	session->table = table;
	session->ranges = &table->ranges[(uint64_t)idx * table->range_cnt_max];
	session->range_cap = table->range_cnt_max;
	session->joined_at = sequence;
	session->lost_from = UINT64_MAX;
	session->first_seen_ns = now_ns;
	return session;
}

struct pst_session *
pst_session_get(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN], uint64_t sequence, uint64_t now_ns)
{
	struct key key = key_of(listener_idx, id);
	struct session *session = session_find(table, &key);
	if (pst_unlikely(!session)) {
		if (table->session_cnt == table->session_cnt_max) {
			table->full_cnt++;
			return NULL;
		}
		session = session_create(table, &key, sequence, now_ns);
	}
	table->latest = session;
	session->hot.last_seen_ns = now_ns;
	return &session->hot;
}

struct pst_session *
pst_session_find(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN])
{
	struct key key = key_of(listener_idx, id);
	struct session *session = session_find(table, &key);
	return session ? &session->hot : NULL;
}

/* ---- reports ---- */

static void
report_push(struct session *s, const struct pst_session_report *report)
{
	struct pst_session_table *table = s->table;
	uint64_t head = atomic_load_explicit(&table->report_head, memory_order_relaxed);
	/* Pairs with the release in pst_session_take_reports: the slot has been read. */
	uint64_t tail = atomic_load_explicit(&table->report_tail, memory_order_acquire);

	if (head - tail == REPORT_CNT) {
		s->silent = true;
		atomic_fetch_add_explicit(&table->silent_cnt, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&table->silenced_cnt, 1, memory_order_relaxed);
		return;
	}
	table->reports[head & (REPORT_CNT - 1)] = *report;
	/* Pairs with the acquire in pst_session_take_reports. */
	atomic_store_explicit(&table->report_head, head + 1, memory_order_release);
}

void
pst_session_flush_reports(struct pst_session_table *table)
{
	struct pst_session_report *gathered = &table->gathered;

	if (pst_likely(gathered->from == 0))
		return;
	struct session *s = &table->sessions[gathered->session_idx];
	if (!s->silent)
		report_push(s, gathered);
	gathered->from = 0;
}

/* Runs of single messages are gathered; all else goes out at once, behind them. */
static void
report(struct session *s, enum pst_session_report_kind kind, uint64_t from, uint64_t to,
	uint64_t at_ns)
{
	struct pst_session_table *table = s->table;
	struct pst_session_report *gathered = &table->gathered;
	uint32_t idx = (uint32_t)(s - table->sessions);

	if (!PST_OBSERVES || s->silent)
		return;
	if (gathered->from && gathered->kind == kind && gathered->session_idx == idx &&
		gathered->to + 1 == from) {
		gathered->to = to;
		gathered->at_ns = at_ns;
		return;
	}
	pst_session_flush_reports(table);
	struct pst_session_report one = {kind, idx, from, to, at_ns};
	if (kind == PST_SESSION_GAP_FILLED || kind == PST_SESSION_GAP_REOPENED)
		*gathered = one;
	else if (!s->silent)
		report_push(s, &one);
}

uint32_t
pst_session_take_reports(
	struct pst_session_table *table, struct pst_session_report *out, uint32_t cap)
{
	uint64_t tail = atomic_load_explicit(&table->report_tail, memory_order_relaxed);
	/* Pairs with the release in report_push: the reports are there. */
	uint64_t head = atomic_load_explicit(&table->report_head, memory_order_acquire);
	uint32_t cnt = (uint32_t)pst_min_u64(head - tail, cap);

	for (uint32_t i = 0; i < cnt; i++)
		out[i] = table->reports[(tail + i) & (REPORT_CNT - 1)];
	/* Pairs with the acquire in report_push. */
	atomic_store_explicit(&table->report_tail, tail + cnt, memory_order_release);
	return cnt;
}

uint64_t
pst_session_taken_cnt(const struct pst_session_table *table)
{
	return atomic_load_explicit(&table->report_tail, memory_order_relaxed);
}

uint64_t
pst_session_silenced_cnt(const struct pst_session_table *table)
{
	return atomic_load_explicit(&table->silenced_cnt, memory_order_relaxed);
}

uint32_t
pst_session_silent_cnt(const struct pst_session_table *table)
{
	return atomic_load_explicit(&table->silent_cnt, memory_order_relaxed);
}

static void
key_id(const struct key *key, uint8_t id[PST_MOLD_SESSION_LEN])
{
	uint16_t last_two = (uint16_t)key->tail;
	memcpy(id, &key->head, sizeof(key->head));
	memcpy(id + sizeof(key->head), &last_two, sizeof(last_two));
}

void
pst_session_name(const struct pst_session_table *table, uint32_t session_idx,
	uint16_t *listener_idx, uint8_t id[PST_MOLD_SESSION_LEN])
{
	/* Written once, before the first report of the session. */
	const struct key *key = &table->sessions[session_idx].key;

	*listener_idx = (uint16_t)(key->tail >> 16);
	key_id(key, id);
}

/* ---- ranges ---- */

/* Range number i, counted from the lowest. */
static struct pst_session_range *
range_at(const struct session *s, uint32_t i)
{
	uint32_t place = s->range_first + i;
	return &s->ranges[place < s->range_cap ? place : place - s->range_cap];
}

/* The lowest range that does not end below the number; range_cnt: none. */
static uint32_t
range_find(const struct session *s, uint64_t sequence)
{
	uint32_t low = 0, high = s->range_cnt;
	/* A second copy of a feed asks for what lies above the last gap. */
	if (high == 0 || range_at(s, high - 1)->to < sequence)
		return high;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (range_at(s, mid)->to < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
range_holds(const struct session *s, uint32_t i, uint64_t sequence)
{
	return i < s->range_cnt && range_at(s, i)->from <= sequence;
}

static void
range_remove(struct session *s, uint32_t i)
{
	s->range_cnt--;
	if (i < s->range_cnt / 2) {
		for (; i > 0; i--)
			*range_at(s, i) = *range_at(s, i - 1);
		s->range_first = s->range_first + 1 < s->range_cap ? s->range_first + 1 : 0;
	} else {
		for (; i < s->range_cnt; i++)
			*range_at(s, i) = *range_at(s, i + 1);
	}
}

static void
range_lose(struct session *s, const struct pst_session_range *range, uint64_t now_ns)
{
	report(s, PST_SESSION_GAP_LOST, range->from, range->to, now_ns);
	s->gap_lost_ranges++;
	s->lost_messages += range->to - range->from + 1;
	s->missing -= range->to - range->from + 1;
	s->lost_from = pst_min_u64(s->lost_from, range->from);
	s->lost_to = pst_max_u64(s->lost_to, range->to);
}

/* Makes the range number i; without room the lowest is given up, be it this one. */
static void
range_insert(struct session *s, uint32_t i, struct pst_session_range range, uint64_t now_ns)
{
	if (s->range_cnt == s->range_cap) {
		if (i == 0) {
			range_lose(s, &range, now_ns);
			return;
		}
		range_lose(s, range_at(s, 0), now_ns);
		range_remove(s, 0);
		i--;
	}
	s->range_cnt++;
	if (i < s->range_cnt / 2) {
		s->range_first = (s->range_first ? s->range_first : s->range_cap) - 1;
		for (uint32_t k = 0; k < i; k++)
			*range_at(s, k) = *range_at(s, k + 1);
	} else {
		for (uint32_t k = s->range_cnt - 1; k > i; k--)
			*range_at(s, k) = *range_at(s, k - 1);
	}
	*range_at(s, i) = range;
}

/* Takes one number out of range i, which holds it. */
static void
range_fill(struct session *s, uint32_t i, uint64_t sequence, uint64_t now_ns)
{
	struct pst_session_range *range = range_at(s, i);
	struct pst_session_range upper = {sequence + 1, range->to, range->first_seen_ns};

	report(s, PST_SESSION_GAP_FILLED, sequence, sequence, now_ns);
	s->missing--;
	if (range->from == range->to) {
		range_remove(s, i);
	} else if (sequence == range->from) {
		range->from++;
	} else if (sequence == range->to) {
		range->to--;
	} else {
		range->to = sequence - 1;
		range_insert(s, i + 1, upper, now_ns);
	}
}

/* All from next up to, and without, the new next is missing. */
static void
gap_open(struct session *s, uint64_t next, uint64_t now_ns)
{
	struct pst_session_range gap = {s->hot.next, next - 1, now_ns};

	report(s, PST_SESSION_GAP_OPENED, gap.from, gap.to, now_ns);
	s->gap_messages += next - s->hot.next;
	s->missing += next - s->hot.next;
	s->hot.next = next;
	if (s->range_cnt && range_at(s, s->range_cnt - 1)->to == gap.from - 1) {
		range_at(s, s->range_cnt - 1)->to = gap.to;
		return;
	}
	s->gap_cnt++;
	range_insert(s, s->range_cnt, gap, now_ns);
}

static bool
is_untracked(const struct session *s, uint64_t sequence)
{
	return sequence < s->joined_at || (s->lost_from <= sequence && sequence <= s->lost_to);
}

enum pst_session_verdict
pst_session_admit_other(struct pst_session *session, uint64_t sequence, uint64_t now_ns)
{
	struct session *s = (struct session *)session;

	PST_ASSERT(sequence > 0 && sequence < UINT64_MAX);
	if (sequence >= s->hot.next) {
		gap_open(s, sequence, now_ns);
		s->hot.next = sequence + 1;
		return PST_SESSION_IN_ORDER;
	}
	uint32_t i = range_find(s, sequence);
	if (range_holds(s, i, sequence)) {
		range_fill(s, i, sequence, now_ns);
		s->late++;
		return PST_SESSION_LATE;
	}
	if (is_untracked(s, sequence)) {
		s->untracked++;
		return PST_SESSION_UNTRACKED;
	}
	s->duplicate++;
	return PST_SESSION_DUPLICATE;
}

void
pst_session_reopen(struct pst_session *session, uint64_t sequence, uint64_t now_ns)
{
	struct session *s = (struct session *)session;
	uint32_t i = range_find(s, sequence);

	if (sequence >= s->hot.next || is_untracked(s, sequence) || range_holds(s, i, sequence))
		return;
	report(s, PST_SESSION_GAP_REOPENED, sequence, sequence, now_ns);
	s->reopened++;
	s->missing++;
	struct pst_session_range *below = i > 0 ? range_at(s, i - 1) : NULL;
	struct pst_session_range *above = i < s->range_cnt ? range_at(s, i) : NULL;
	bool joins_below = below && below->to == sequence - 1;
	bool joins_above = above && above->from == sequence + 1;
	if (joins_below && joins_above) {
		below->to = above->to;
		below->first_seen_ns = pst_min_u64(below->first_seen_ns, above->first_seen_ns);
		range_remove(s, i);
	} else if (joins_below) {
		below->to = sequence;
	} else if (joins_above) {
		above->from = sequence;
	} else {
		range_insert(s, i, (struct pst_session_range){sequence, sequence, now_ns}, now_ns);
	}
}

void
pst_session_heartbeat(
	struct pst_session *session, uint64_t next, bool end_of_session, uint64_t now_ns)
{
	struct session *s = (struct session *)session;

	s->hot.last_seen_ns = now_ns;
	/* One that is behind was overtaken by messages, or comes by the slower of two paths. */
	if (next > s->hot.next)
		gap_open(s, next, now_ns);
	if (end_of_session && !s->ended)
		report(s, PST_SESSION_ENDED, 0, 0, now_ns);
	s->ended |= end_of_session;
}

uint64_t
pst_session_gap_messages(const struct pst_session *session)
{
	return ((const struct session *)(const void *)session)->gap_messages;
}

uint32_t
pst_session_cnt(const struct pst_session_table *table)
{
	return table->session_cnt;
}

uint64_t
pst_session_full_cnt(const struct pst_session_table *table)
{
	return table->full_cnt;
}

uint32_t
pst_session_copy(const struct pst_session_table *table, uint32_t idx, struct pst_session_info *info,
	struct pst_session_range *ranges, uint32_t range_cap)
{
	PST_ASSERT(idx < table->session_cnt);
	const struct session *s = &table->sessions[idx];
	bool lost = s->lost_from <= s->lost_to;

	*info = (struct pst_session_info){
		.listener_idx = (uint16_t)(s->key.tail >> 16),
		.ended = s->ended,
		.joined_at = s->joined_at,
		.next = s->hot.next,
		.received = s->hot.received,
		.bytes = s->hot.bytes,
		.duplicate = s->duplicate,
		.late = s->late,
		.untracked = s->untracked,
		.reopened = s->reopened,
		.gap_messages = s->gap_messages,
		.missing = s->missing,
		.gap_cnt = s->gap_cnt,
		.gap_lost_ranges = s->gap_lost_ranges,
		.lost_from = lost ? s->lost_from : 0,
		.lost_to = lost ? s->lost_to : 0,
		.lost_messages = s->lost_messages,
		.first_seen_ns = s->first_seen_ns,
		.last_seen_ns = s->hot.last_seen_ns,
		.range_cnt = s->range_cnt,
	};
	key_id(&s->key, info->id);
	uint32_t copied = s->range_cnt < range_cap ? s->range_cnt : range_cap;
	for (uint32_t i = 0; i < copied; i++)
		ranges[i] = *range_at(s, i);
	return copied;
}

bool
pst_session_copy_silent(struct pst_session_table *table, uint32_t *session_idx,
	struct pst_session_info *info, struct pst_session_range *ranges, uint32_t range_cap,
	uint32_t *range_cnt, uint64_t *position)
{
	if (pst_session_silent_cnt(table) == 0)
		return false;
	while (!table->sessions[table->silent_cursor % table->session_cnt].silent)
		table->silent_cursor++;
	*session_idx = table->silent_cursor++ % table->session_cnt;
	*range_cnt = pst_session_copy(table, *session_idx, info, ranges, range_cap);
	*position = atomic_load_explicit(&table->report_head, memory_order_relaxed);
	table->sessions[*session_idx].silent = false;
	atomic_fetch_sub_explicit(&table->silent_cnt, 1, memory_order_relaxed);
	/* The run being gathered may be of this session: the copy has it. */
	if (table->gathered.session_idx == *session_idx)
		table->gathered.from = 0;
	return true;
}
