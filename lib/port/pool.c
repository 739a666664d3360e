/* Packet buffers.
 *
 * An AF_XDP queue hands the whole pool to the kernel, which cuts it into chunks of one object:
 *
 *   |<------------------------------- chunk: 4096 ------------------------------->|
 *   | object header | mbuf | mbuf headroom | XDP headroom |        frame           |
 *   |      64       | 128  |     128       |     256      |        3520            |
 *
 * A chunk must not cross a page: one that is exactly a page never does, needs no hugepages, and
 * leaves no buffer at the pool's end outside what the driver registers. So DPDK's spreading over
 * memory channels, which would add a cache line to each object, is off. */
#include <errno.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "port/ports.h"

#define AF_XDP_CHUNK_BYTES  4096u
#define AF_XDP_DATA_ROOM    3904u
#define AF_XDP_XDP_HEADROOM 256u /* XDP_PACKET_HEADROOM, kept by the kernel in each chunk */
#define POOL_CACHE_CNT      256u

_Static_assert(RTE_MEMPOOL_ALIGN + sizeof(struct rte_mbuf) + AF_XDP_DATA_ROOM == AF_XDP_CHUNK_BYTES,
	"object header, mbuf and data room fill a page");
_Static_assert(
	AF_XDP_CHUNK_BYTES == PST_PLAN_MBUF_PAGE &&
		RTE_MEMPOOL_ALIGN * 2 + sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE ==
			PST_PLAN_MBUF_BYTES,
	"the profile's memory plan covers an object of either kind");

_Static_assert(AF_XDP_DATA_ROOM - RTE_PKTMBUF_HEADROOM - AF_XDP_XDP_HEADROOM ==
		       PST_PORT_AF_XDP_FRAME_BYTES_MAX,
	"what is left of the data room is the frame");

static int
no_pool(const char *port_name, uint32_t mbuf_cnt, uint64_t bytes, struct pst_diag *diag)
{
	return pst_diag_set(diag, NULL, 0, NULL,
		"give EAL more memory: memory.size in the profile, and as many hugepages "
		"(or memory.no-huge for trials)",
		"port %s: no room for %u packet buffers (%lu MiB): %s", port_name, mbuf_cnt,
		(unsigned long)(bytes >> 20), rte_strerror(rte_errno));
}

static void
free_chunks(struct rte_mempool_memhdr *piece, void *memzone)
{
	rte_memzone_free(memzone);
}

/* One piece of memory that starts at a page, so that every object is a page. The kernel copies into
 * it: no bus address is needed, and so none is looked up, which would break the piece up. */
static int
populate_with_pages(struct rte_mempool *pool, int socket)
{
	char name[RTE_MEMZONE_NAMESIZE];
	size_t bytes = (size_t)pool->size * AF_XDP_CHUNK_BYTES;

	snprintf(name, sizeof(name), "%.20s_chunks", pool->name);
	const struct rte_memzone *memzone = rte_memzone_reserve_aligned(
		name, bytes, socket, 0, AF_XDP_CHUNK_BYTES);
	if (!memzone)
		return -rte_errno;
	int cnt = rte_mempool_populate_iova(
		pool, memzone->addr, RTE_BAD_IOVA, bytes, free_chunks, (void *)(uintptr_t)memzone);
	if (cnt < 0) {
		rte_memzone_free(memzone);
		return cnt;
	}
	return (uint32_t)cnt == pool->size ? 0 : -ENOMEM;
}

static int
af_xdp_pool(const char *port_name, const char *name, uint32_t mbuf_cnt, int socket,
	struct rte_mempool **out, struct pst_diag *diag)
{
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = AF_XDP_DATA_ROOM};
	uint32_t object_bytes = sizeof(struct rte_mbuf) + AF_XDP_DATA_ROOM;
	struct rte_mempool *pool = rte_mempool_create_empty(name, mbuf_cnt, object_bytes,
		POOL_CACHE_CNT, sizeof(private), socket,
		RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!pool)
		return no_pool(port_name, mbuf_cnt, (uint64_t)mbuf_cnt * AF_XDP_CHUNK_BYTES, diag);
	/* With a trailer (a debug build of DPDK) frames would run past their buffer's end. */
	if (pool->trailer_size != 0 || pool->header_size != RTE_MEMPOOL_ALIGN) {
		pst_diag_set(diag, NULL, 0, NULL, "use a DPDK without mempool debugging",
			"port %s: this DPDK's packet buffers do not fit AF_XDP's chunks (header "
			"%u, trailer %u bytes)",
			port_name, pool->header_size, pool->trailer_size);
		rte_mempool_free(pool);
		return -1;
	}
	rte_pktmbuf_pool_init(pool, &private);
	int err = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (!err)
		err = populate_with_pages(pool, socket);
	if (err) {
		rte_errno = -err;
		rte_mempool_free(pool);
		return no_pool(port_name, mbuf_cnt, (uint64_t)mbuf_cnt * AF_XDP_CHUNK_BYTES, diag);
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	*out = pool;
	return 0;
}

/* Only one lcore takes from a pool and gives back: the rings' multi-producer modes, which would
 * spin when a holder is preempted, never meet a second user. */
int
pst_port_pool_create(const struct pst_profile_port *port, uint16_t queue_id, uint32_t mbuf_cnt,
	int socket, struct rte_mempool **out, struct pst_diag *diag)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	/* Port names may be longer than a pool's: the queue's number among all is unique. */
	snprintf(name, sizeof(name), "rx_%u", port->queue_first_idx + queue_id);
	if (port->kind == PST_PORT_AF_XDP)
		return af_xdp_pool(port->name, name, mbuf_cnt, socket, out, diag);
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, mbuf_cnt, POOL_CACHE_CNT, 0, RTE_MBUF_DEFAULT_BUF_SIZE, socket);
	if (!pool)
		return no_pool(
			port->name, mbuf_cnt, (uint64_t)mbuf_cnt * RTE_MBUF_DEFAULT_BUF_SIZE, diag);
	*out = pool;
	return 0;
}

uint32_t
pst_port_pool_frame_bytes_max(const struct rte_mempool *pool)
{
	uint32_t chunk_bytes = pool->header_size + pool->elt_size + pool->trailer_size;
	return chunk_bytes - pool->header_size - (uint32_t)sizeof(struct rte_mbuf) -
	       RTE_PKTMBUF_HEADROOM - AF_XDP_XDP_HEADROOM;
}

struct registered {
	uintptr_t begin, end;
	uint32_t outside_cnt;
};

static void
count_outside(struct rte_mempool *pool, void *opaque, void *object, unsigned idx)
{
	struct registered *reg = opaque;
	uintptr_t begin = (uintptr_t)object - pool->header_size;
	if (begin < reg->begin || begin + AF_XDP_CHUNK_BYTES > reg->end)
		reg->outside_cnt++;
}

/* The driver registers population x chunk bytes from the page of the pool's first memory piece on;
 * objects elsewhere (further pieces, gaps at page ends) are lost to it. */
uint32_t
pst_port_pool_unusable_cnt(struct rte_mempool *pool)
{
	const struct rte_mempool_memhdr *first = STAILQ_FIRST(&pool->mem_list);
	uintptr_t addr = (uintptr_t)first->addr;
	uintptr_t page = addr & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	struct registered reg = {
		.begin = page, .end = addr + (uintptr_t)pool->populated_size * AF_XDP_CHUNK_BYTES};
	rte_mempool_obj_iter(pool, count_outside, &reg);
	return reg.outside_cnt;
}
