/* SHA-256 is libcrypto's, by its plain functions in three steps: EVP, and the one call for all,
 * take memory for each digest (OpenSSL 3.0), and the writer is to take none. */
#define OPENSSL_API_COMPAT 10101

#include "segment/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "segment/replace.h"

#define SEAL_MAGIC   "pst.seal"
#define SEAL_VERSION 1

static_assert(PST_LINK_BYTES == SHA256_DIGEST_LENGTH, "a link is a SHA-256");

struct stored_seal {
	char magic[8];
	uint32_t version_le, flags_le, crc_le, link_cnt_le;
	uint64_t base_offset_le, next_offset_le, bytes_le;
	char name[PST_LOG_DIR_NAME_BYTES];
	struct pst_link first, last, follows;
};
static_assert(sizeof(struct stored_seal) == PST_SEAL_HEADER_BYTES, "stored layout");

struct stored_link {
	uint64_t position_le, next_offset_le;
	struct pst_link link;
};
static_assert(sizeof(struct stored_link) == PST_SEAL_LINK_STORED_BYTES, "stored layout");

static void
sha256(const void *data, size_t len, uint8_t out[PST_LINK_BYTES])
{
	SHA256_CTX ctx;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, len);
	SHA256_Final(out, &ctx);
}

const char *
pst_seal_verdict_name(enum pst_seal_verdict verdict)
{
	static const char *const names[PST_SEAL_VERDICT_CNT] = {
		[PST_SEAL_OK] = "ok",
		[PST_SEAL_SHORT] = "wrong length",
		[PST_SEAL_MAGIC] = "not a seal",
		[PST_SEAL_VERSION] = "unknown version",
		[PST_SEAL_CRC] = "crc",
		[PST_SEAL_FIELDS] = "impossible values",
	};
	return names[verdict];
}

void
pst_link_seed(const char *name, int64_t base_offset, struct pst_link *out)
{
	char text[PST_LOG_DIR_NAME_BYTES + 64];
	int len = snprintf(text, sizeof(text), "penstock seal %d\n%s\n%" PRId64 "\n", SEAL_VERSION,
		name, base_offset);
	sha256(text, (size_t)len, out->sha256);
}

void
pst_link_next(const struct pst_link *before, const void *batch, size_t len, struct pst_link *out)
{
	uint8_t both[2 * PST_LINK_BYTES];
	memcpy(both, before->sha256, PST_LINK_BYTES);
	sha256(batch, len, both + PST_LINK_BYTES);
	sha256(both, sizeof(both), out->sha256);
}

bool
pst_link_equal(const struct pst_link *a, const struct pst_link *b)
{
	return memcmp(a->sha256, b->sha256, PST_LINK_BYTES) == 0;
}

void
pst_link_text(char text[PST_LINK_TEXT_BYTES], const struct pst_link *link)
{
	for (int i = 0; i < PST_LINK_BYTES; i++)
		snprintf(text + (ptrdiff_t)2 * i, 3, "%02x", link->sha256[i]);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
pst_link_parse(const char *text, struct pst_link *out)
{
	struct pst_link link;
	for (int i = 0; i < PST_LINK_BYTES; i++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		link.sha256[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	*out = link;
	return true;
}

int
pst_seal_init(struct pst_seal *seal)
{
	*seal = (struct pst_seal){
		.links = malloc(PST_SEAL_LINKS_MAX * sizeof(*seal->links)),
		.image = malloc(PST_SEAL_FILE_BYTES_MAX),
	};
	if (seal->links && seal->image)
		return 0;
	pst_seal_fini(seal);
	return -ENOMEM;
}

void
pst_seal_fini(struct pst_seal *seal)
{
	free(seal->links);
	free(seal->image);
	seal->links = NULL;
	seal->image = NULL;
}

void
pst_seal_begin(
	struct pst_seal *seal, const char *name, int64_t base_offset, const struct pst_link *first)
{
	struct pst_link seed;
	pst_link_seed(name, base_offset, &seed);
	seal->flags = pst_link_equal(first, &seed) ? PST_SEAL_BEGINS : 0;
	snprintf(seal->name, sizeof(seal->name), "%s", name);
	seal->base_offset = seal->next_offset = base_offset;
	seal->bytes = 0;
	seal->first = seal->last = seal->follows = *first;
	seal->link_cnt = 0;
}

void
pst_seal_extend(
	struct pst_seal *seal, uint64_t position, int64_t next_offset, const struct pst_link *link)
{
	uint64_t before = seal->link_cnt ? seal->links[seal->link_cnt - 1].position : 0;
	if (position - before >= PST_SEAL_LINK_INTERVAL_BYTES &&
		seal->link_cnt < PST_SEAL_LINKS_MAX)
		seal->links[seal->link_cnt++] = (struct pst_seal_link){
			position, next_offset, *link};
	seal->bytes = position;
	seal->next_offset = next_offset;
	seal->last = seal->follows = *link;
}

size_t
pst_seal_encode(struct pst_seal *seal)
{
	struct stored_seal h = {
		.magic = SEAL_MAGIC,
		.version_le = htole32(SEAL_VERSION),
		.flags_le = htole32(seal->flags),
		.link_cnt_le = htole32(seal->link_cnt),
		.base_offset_le = htole64((uint64_t)seal->base_offset),
		.next_offset_le = htole64((uint64_t)seal->next_offset),
		.bytes_le = htole64(seal->bytes),
		.first = seal->first,
		.last = seal->last,
		.follows = seal->follows,
	};
	memcpy(h.name, seal->name, strnlen(seal->name, sizeof(h.name) - 1));
	memcpy(seal->image, &h, sizeof(h));
	uint8_t *at = seal->image + sizeof(h);
	for (uint32_t i = 0; i < seal->link_cnt; i++, at += sizeof(struct stored_link)) {
		struct stored_link s = {
			.position_le = htole64(seal->links[i].position),
			.next_offset_le = htole64((uint64_t)seal->links[i].next_offset),
			.link = seal->links[i].link,
		};
		memcpy(at, &s, sizeof(s));
	}
	size_t len = (size_t)(at - seal->image);
	uint32_t crc_le = htole32(pst_batch_crc32c(0, seal->image, len));
	memcpy(seal->image + offsetof(struct stored_seal, crc_le), &crc_le, sizeof(crc_le));
	return len;
}

/* Whether links rise, and stay within the segment. */
static bool
take_links(struct pst_seal *seal, const uint8_t *at, uint32_t cnt)
{
	uint64_t position = 0;
	int64_t offset = seal->base_offset;
	for (uint32_t i = 0; i < cnt; i++, at += sizeof(struct stored_link)) {
		struct stored_link s;
		memcpy(&s, at, sizeof(s));
		struct pst_seal_link link = {
			le64toh(s.position_le), (int64_t)le64toh(s.next_offset_le), s.link};
		if (link.position <= position || link.position > seal->bytes ||
			link.next_offset <= offset || link.next_offset > seal->next_offset)
			return false;
		position = link.position;
		offset = link.next_offset;
		seal->links[i] = link;
	}
	seal->link_cnt = cnt;
	return true;
}

enum pst_seal_verdict
pst_seal_decode(struct pst_seal *seal, const uint8_t *data, size_t len)
{
	struct stored_seal h;
	if (len < sizeof(h))
		return PST_SEAL_SHORT;
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, SEAL_MAGIC, sizeof(h.magic)) != 0)
		return PST_SEAL_MAGIC;
	if (le32toh(h.version_le) != SEAL_VERSION)
		return PST_SEAL_VERSION;
	uint32_t cnt = le32toh(h.link_cnt_le);
	if (cnt > PST_SEAL_LINKS_MAX || len != sizeof(h) + cnt * sizeof(struct stored_link))
		return PST_SEAL_SHORT;
	static const uint8_t no_crc[sizeof(h.crc_le)];
	size_t at = offsetof(struct stored_seal, crc_le), behind = at + sizeof(no_crc);
	uint32_t crc = pst_batch_crc32c(0, data, at);
	crc = pst_batch_crc32c(crc, no_crc, sizeof(no_crc));
	crc = pst_batch_crc32c(crc, data + behind, len - behind);
	if (crc != le32toh(h.crc_le))
		return PST_SEAL_CRC;
	seal->flags = le32toh(h.flags_le);
	seal->base_offset = (int64_t)le64toh(h.base_offset_le);
	seal->next_offset = (int64_t)le64toh(h.next_offset_le);
	seal->bytes = le64toh(h.bytes_le);
	seal->first = h.first;
	seal->last = h.last;
	seal->follows = h.follows;
	memcpy(seal->name, h.name, sizeof(seal->name));
	if (seal->flags & ~(uint32_t)PST_SEAL_FLAGS || !memchr(h.name, '\0', sizeof(h.name)) ||
		seal->base_offset < 0 || seal->next_offset < seal->base_offset ||
		seal->bytes > PST_SEGMENT_POSITION_MAX + (uint64_t)PST_BATCH_WIRE_BYTES_MAX ||
		!take_links(seal, data + sizeof(h), cnt))
		return PST_SEAL_FIELDS;
	return PST_SEAL_OK;
}

int
pst_seal_load_name(struct pst_seal *seal, struct pst_disk *disk, int dir, const char *name,
	enum pst_seal_verdict *verdict)
{
	struct pst_disk_stat st;
	int file = disk->ops->open(disk, dir, name, 0);
	if (file < 0)
		return file;
	int rc = disk->ops->stat(disk, file, &st);
	int64_t n = rc;
	if (rc == 0 && st.bytes <= PST_SEAL_FILE_BYTES_MAX)
		n = disk->ops->read(disk, file, seal->image, st.bytes, 0);
	disk->ops->close(disk, file);
	if (n < 0)
		return (int)n;
	*verdict = st.bytes > PST_SEAL_FILE_BYTES_MAX
			   ? PST_SEAL_SHORT
			   : pst_seal_decode(seal, seal->image, (size_t)n);
	return 0;
}

int
pst_seal_load(struct pst_seal *seal, struct pst_disk *disk, int dir, int64_t base,
	enum pst_seal_verdict *verdict)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_SEAL);
	return pst_seal_load_name(seal, disk, dir, name, verdict);
}

int
pst_seal_store(struct pst_seal *seal, struct pst_disk *disk, int dir)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, seal->base_offset, PST_SEGMENT_SEAL);
	size_t len = pst_seal_encode(seal);
	return pst_replace(disk, dir, name, seal->image, len);
}

int
pst_seal_sync(struct pst_disk *disk, int dir, int64_t base)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_SEAL);
	int file = disk->ops->open(disk, dir, name, PST_DISK_WRITE);
	if (file < 0)
		return file;
	int rc = disk->ops->sync(disk, file);
	disk->ops->close(disk, file);
	return rc;
}

int
pst_seal_drop(struct pst_disk *disk, int dir, int64_t base)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_SEAL);
	int rc = disk->ops->unlink(disk, dir, name);
	return rc == -ENOENT ? 0 : rc;
}

int
pst_seal_set_aside(struct pst_disk *disk, int dir, int64_t base)
{
	char name[PST_SEGMENT_NAME_BYTES], aside[PST_SEGMENT_NAME_BYTES];
	struct pst_disk_stat st;
	uint32_t crc = 0;
	int64_t n = 0;
	uint8_t buf[4096];
	pst_segment_name(name, base, PST_SEGMENT_SEAL);
	int file = disk->ops->open(disk, dir, name, 0);
	if (file < 0)
		return file == -ENOENT ? 0 : file;
	int rc = disk->ops->stat(disk, file, &st);
	for (uint64_t at = 0; rc == 0 && at < st.bytes; at += (uint64_t)n) {
		n = disk->ops->read(disk, file, buf, sizeof(buf), at);
		if (n <= 0)
			rc = n < 0 ? (int)n : -EIO;
		else
			crc = pst_batch_crc32c(crc, buf, (size_t)n);
	}
	disk->ops->close(disk, file);
	if (rc < 0 && !pst_errno_unreadable(-rc))
		return rc;
	snprintf(aside, sizeof(aside), "%.25s.damaged-%08x", name, crc);
	return disk->ops->rename(disk, dir, name, aside);
}
