/* Segments prove themselves: a hash chain over a partition's batches, and the side file that keeps
 * it once a segment is closed. The .log stays Kafka's to the byte.
 *
 *   seed ─▶ h ─▶ h ─▶ h │ ─▶ h ─▶ h │ ─▶ h ...      h = SHA-256(h before || SHA-256(batch))
 *           │    │    │ │    │    │ │    │          batch: as stored, base offset and all
 *         batch batch batch        ...
 *         segment 0     │ segment 1 │ segment 2     a segment starts with the last link before it
 *
 *   seed of a chain that begins with the segment of base offset B:
 *     SHA-256("penstock seal 1\n<topic>-<partition>\n<B>\n")
 *
 * <base>.seal, little-endian:
 *
 *     0 |   8 | "pst.seal"
 *     8 |   4 | version, 1
 *    12 |   4 | flags: PST_SEAL_...
 *    16 |   4 | CRC-32C of the whole file with this field 0
 *    20 |   4 | number of links between
 *    24 |   8 | base offset
 *    32 |   8 | next offset
 *    40 |   8 | bytes of the .log that are sealed
 *    48 | 216 | "<topic>-<partition>", padded with zeros
 *   264 |  32 | first link: before the first batch
 *   296 |  32 | last link: after the last one
 *   328 |  32 | the first link of the segment that follows; but for repaired ones the last link
 *   360 |  48 each | links between: position (8), next offset (8), link (32), a MiB or so apart
 *
 * The chain shows that something differs; it cannot show who is right. Whoever can write the
 * directory can make all of it anew: only a link that is kept elsewhere (an anchor) shows that. */
#ifndef PST_SEAL_H
#define PST_SEAL_H

#include "segment/datadir.h"
#include "segment/disk.h"
#include "segment/format.h"

#define PST_SEAL_LINK_INTERVAL_BYTES (1024u * 1024)
#define PST_SEAL_LINKS_MAX           (PST_SEGMENT_POSITION_MAX / PST_SEAL_LINK_INTERVAL_BYTES + 1)
#define PST_SEAL_HEADER_BYTES        360
#define PST_SEAL_LINK_STORED_BYTES   48
#define PST_SEAL_FILE_BYTES_MAX                                                                    \
	(PST_SEAL_HEADER_BYTES + PST_SEAL_LINKS_MAX * PST_SEAL_LINK_STORED_BYTES)
#define PST_LINK_TEXT_BYTES (2 * PST_LINK_BYTES + 1)

enum {
	PST_SEAL_OPEN = 1 << 0,     /* the log goes on behind: sealed when the daemon stopped */
	PST_SEAL_BEGINS = 1 << 1,   /* the chain begins here: the first link is the seed */
	PST_SEAL_REPAIRED = 1 << 2, /* by penstock repair, over what was left */
	PST_SEAL_SALVAGED = 1 << 3, /* of batches that repair put back: a chain of its own, which
				     * the one around it passes over */
	PST_SEAL_FLAGS = (1 << 4) - 1,
};

struct pst_seal_link {
	uint64_t position; /* where a batch ends */
	int64_t next_offset;
	struct pst_link link;
};

/* A seal, as it is filled, read and written. One thread's. */
struct pst_seal {
	uint32_t flags;
	char name[PST_LOG_DIR_NAME_BYTES];
	int64_t base_offset, next_offset;
	uint64_t bytes;
	struct pst_link first, last, follows;
	struct pst_seal_link *links; /* PST_SEAL_LINKS_MAX of them */
	uint32_t link_cnt;
	uint8_t *image; /* PST_SEAL_FILE_BYTES_MAX */
};

enum pst_seal_verdict {
	PST_SEAL_OK,
	PST_SEAL_SHORT, /* fewer bytes than it says, or more */
	PST_SEAL_MAGIC,
	PST_SEAL_VERSION,
	PST_SEAL_CRC,
	PST_SEAL_FIELDS, /* values that no writer of ours stores */
	PST_SEAL_VERDICT_CNT
};
const char *pst_seal_verdict_name(enum pst_seal_verdict verdict);

/* ---- the chain ---- */

void pst_link_seed(const char *name, int64_t base_offset, struct pst_link *out);
void pst_link_next(const struct pst_link *before, const void *batch, size_t len,
	struct pst_link *out); /* out may be before */
bool pst_link_equal(const struct pst_link *a, const struct pst_link *b);
void pst_link_text(char text[PST_LINK_TEXT_BYTES], const struct pst_link *link); /* hex */
bool pst_link_parse(const char *text, struct pst_link *out); /* 64 hex digits, exactly */

/* ---- the file ---- */

int pst_seal_init(struct pst_seal *seal); /* takes memory; 0 or -ENOMEM */
void pst_seal_fini(struct pst_seal *seal);

/* Starts over for a segment. Where first is its seed the chain begins with it. */
void pst_seal_begin(
	struct pst_seal *seal, const char *name, int64_t base_offset, const struct pst_link *first);
/* The chain has come to link with the batch that ends at position. */
void pst_seal_extend(
	struct pst_seal *seal, uint64_t position, int64_t next_offset, const struct pst_link *link);

/* Fills seal->image. Returns its length. */
size_t pst_seal_encode(struct pst_seal *seal);
/* Foreign bytes. Of anything but OK the seal says nothing. */
enum pst_seal_verdict pst_seal_decode(struct pst_seal *seal, const uint8_t *data, size_t len);

/* Reads "<base>.seal". 0 with *verdict; -ENOENT; -errno. */
int pst_seal_load(struct pst_seal *seal, struct pst_disk *disk, int dir, int64_t base,
	enum pst_seal_verdict *verdict);
int pst_seal_load_name(struct pst_seal *seal, struct pst_disk *disk, int dir, const char *name,
	enum pst_seal_verdict *verdict);

/* Writes "<base>.seal", whole or not at all; the name is not synced. 0 or -errno. */
int pst_seal_store(struct pst_seal *seal, struct pst_disk *disk, int dir);

/* Syncs the file as it is. 0 or -errno. */
int pst_seal_sync(struct pst_disk *disk, int dir, int64_t base);

/* Removes "<base>.seal", or what is there of it. 0, also if there was none, or -errno. */
int pst_seal_drop(struct pst_disk *disk, int dir, int64_t base);

/* Renames "<base>.seal" to "<base>.seal.damaged-<crc>"; the name is not synced. 0, also if there
 * was none, or -errno. */
int pst_seal_set_aside(struct pst_disk *disk, int dir, int64_t base);

#endif
