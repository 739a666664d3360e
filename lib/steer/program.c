#include "steer/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "steer.skel.h"

static int
libbpf_to_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[1024];
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	pst_debug("%s", line);
	return 0;
}

static int
load_failed(struct pst_diag *diag, int err)
{
	if (err == -EPERM || err == -EACCES)
		return pst_diag_set(diag, NULL, 0, NULL,
			"start as root, or with CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and "
			"CAP_SYS_ADMIN",
			"the kernel does not let us load the steering program: %s", strerror(-err));
	return pst_diag_set(diag, NULL, 0, NULL,
		"needs Linux 5.18 or newer with CONFIG_XDP_SOCKETS; debug log level has the "
		"verifier's words",
		"the kernel refuses the steering program: %s", strerror(-err));
}

static int
fill_targets(int map_fd, const struct pst_steer_keys *keys)
{
	const uint8_t present = 1;
	for (unsigned i = 0; i < keys->cnt; i++) {
		int err = bpf_map_update_elem(map_fd, &keys->keys[i], &present, BPF_ANY);
		if (err)
			return err;
	}
	return 0;
}

/* Options before loading, contents and mapping after it. */
static int
load_with_keys(struct pst_steer *steer, uint32_t frame_bytes_max, const struct pst_steer_keys *keys)
{
	struct pst_steer_bpf *bpf = steer->bpf;
	int cpu_cnt = libbpf_num_possible_cpus();
	if (cpu_cnt < 0)
		return cpu_cnt;
	steer->slot_cnt = (unsigned)cpu_cnt;
	bpf->rodata->pst_frame_bytes_max = frame_bytes_max;
	bpf->rodata->pst_slot_cnt = steer->slot_cnt;
	bpf->rodata->pst_any_ipv4 = keys->any_ipv4;
	bpf->rodata->pst_any_ipv6 = keys->any_ipv6;
	int err = bpf_map__set_max_entries(bpf->maps.pst_slots, steer->slot_cnt);
	if (!err)
		err = bpf_map__set_max_entries(bpf->maps.pst_targets, keys->cnt ? keys->cnt : 1);
	if (!err)
		err = pst_steer_bpf__load(bpf);
	if (!err)
		err = fill_targets(bpf_map__fd(bpf->maps.pst_targets), keys);
	if (err)
		return err;
	steer->slots_bytes = pst_align_up(
		steer->slot_cnt * sizeof(*steer->slots), (uint64_t)sysconf(_SC_PAGESIZE));
	void *slots = mmap(NULL, steer->slots_bytes, PROT_READ, MAP_SHARED,
		bpf_map__fd(bpf->maps.pst_slots), 0);
	if (slots == MAP_FAILED)
		return -errno;
	steer->slots = slots;
	return 0;
}

int
pst_steer_load(const char *ifname, uint32_t frame_bytes_max, const struct pst_steer_target *targets,
	unsigned target_cnt, struct pst_steer **out, struct pst_diag *diag)
{
	struct pst_steer_keys keys;
	struct pst_steer *steer;

	PST_ASSERT(frame_bytes_max <= PST_STEER_FRAME_BYTES_MAX);
	libbpf_set_print(libbpf_to_log);
	if (pst_steer_keys_make(ifname, targets, target_cnt, &keys, diag) != 0)
		return -1;
	steer = calloc(1, sizeof(*steer));
	if (!steer) {
		free(keys.keys);
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	}
	steer->link_fd = -1;
	steer->bpf = pst_steer_bpf__open();
	int err = steer->bpf ? load_with_keys(steer, frame_bytes_max, &keys) : -errno;
	free(keys.keys);
	if (err) {
		pst_steer_free(steer);
		return load_failed(diag, err);
	}
	*out = steer;
	return 0;
}

int
pst_steer_program_fd(const struct pst_steer *steer)
{
	return bpf_program__fd(steer->bpf->progs.xsk_def_prog);
}

int
pst_steer_sockets_fd(const struct pst_steer *steer)
{
	return bpf_map__fd(steer->bpf->maps.xsks_map);
}

void
pst_steer_free(struct pst_steer *steer)
{
	if (!steer)
		return;
	pst_steer_detach(steer);
	if (steer->slots)
		munmap((void *)(uintptr_t)steer->slots, steer->slots_bytes);
	pst_steer_bpf__destroy(steer->bpf);
	free(steer);
}
