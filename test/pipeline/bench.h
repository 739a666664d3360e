/* A pipeline on a table: the daemon's own wiring over ports that receive nothing, its lcores turned
 * by hand, so that a test decides who runs when. */
#ifndef PST_TEST_BENCH_H
#define PST_TEST_BENCH_H

#include "../../app/penstockd/topology.h"

struct bench {
	struct pst_profile *profile;
	struct pst_storage storage;
	struct pst_pipeline pipeline;
	char dir[64];
	int closed; /* what closing the storage said */
};

/* Starts EAL without hugepages and builds everything from a profile whose YAML is yaml; "DIR" in it
 * is replaced by a fresh directory. Fails the test on any error. */
void bench_open(struct bench *bench, const char *yaml);
/* Its data on disks of the caller's, one for each data directory. */
void bench_open_on(struct bench *bench, const char *yaml, struct pst_disk *const *disks);
/* Asserts that all could be closed; the other does not, and leaves directory and profile. */
void bench_close(struct bench *bench);
void bench_abandon(struct bench *bench);

/* What the control thread does every turn, with the lcores turning meanwhile. */
int bench_watch(struct bench *bench, struct pst_diag *diag);
/* A turn of the ledger's keeper, likewise. */
void bench_record(struct bench *bench);
/* What metrics ask for, likewise. */
void bench_stream_logs(struct bench *bench, struct pst_stream_logs out[PST_STREAMS_MAX]);

/* Turns every lcore until nothing moves and all is durable. */
void bench_settle(struct bench *bench);

/* Books of all lcores, taken at rest; asserts that every residual is 0. */
struct pst_cell bench_books(struct bench *bench);

/* An Ethernet frame with a UDP datagram from 10.0.0.1:999 to 10.0.0.2:port. Returns its length. */
uint32_t bench_frame(uint8_t *out, uint16_t port, const void *payload, uint32_t len);

/* Delivers a datagram to queue queue_idx of rx lcore rx_idx as if it had been polled. */
void bench_deliver(struct bench *bench, uint16_t rx_idx, uint16_t queue_idx, const uint8_t *frame,
	uint32_t len);

/* A MoldUDP64 payload of cnt messages "<session>-<sequence>". Returns its length. */
uint32_t bench_mold(uint8_t *out, const char *session, uint64_t sequence, uint16_t cnt);

/* Number of records of a stream's partition whose value (whose key) is text; NULL: of all. */
unsigned bench_count(struct bench *bench, const char *stream, uint32_t partition, const char *text);
unsigned bench_count_key(
	struct bench *bench, const char *stream, uint32_t partition, const char *text);

#endif
