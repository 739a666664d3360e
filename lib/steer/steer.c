#include "steer/steer.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "steer/program.h"

const char *
pst_steer_count_name(enum pst_steer_count count)
{
	static const char *const names[] = {
		[PST_STEER_REDIRECTED] = "redirected",
		[PST_STEER_PASS_LARGE] = "pass_large",
		[PST_STEER_PASS_FRAGMENT] = "pass_fragment",
		[PST_STEER_PASS_OPTIONS] = "pass_options",
		[PST_STEER_PASS_NO_SOCKET] = "pass_no_socket",
		[PST_STEER_PASS_ADDRESS] = "pass_address",
		[PST_STEER_PASS_OTHER] = "pass_other",
	};
	static_assert(PST_ARRAY_CNT(names) == PST_STEER_COUNT_CNT, "every count has its name");
	PST_ASSERT((unsigned)count < PST_STEER_COUNT_CNT);
	return names[count];
}

uint32_t
pst_steer_occupant(unsigned ifindex, char name[PST_STEER_PROGRAM_NAME_LEN])
{
	struct bpf_prog_info info = {0};
	uint32_t info_len = sizeof(info), id = 0;

	name[0] = '\0';
	if (bpf_xdp_query_id((int)ifindex, 0, &id) != 0 || id == 0)
		return 0;
	int fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return id;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_len) == 0) {
		static_assert(sizeof(info.name) == PST_STEER_PROGRAM_NAME_LEN, "kernel's limit");
		memcpy(name, info.name, PST_STEER_PROGRAM_NAME_LEN);
		name[PST_STEER_PROGRAM_NAME_LEN - 1] = '\0';
	}
	close(fd);
	return id;
}

static bool
is_veth(const char *ifname)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq req = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	int err = ioctl(fd, SIOCETHTOOL, &req);
	close(fd);
	return err == 0 && strcmp(info.driver, "veth") == 0;
}

static int
attach_failed(struct pst_diag *diag, const char *ifname, unsigned ifindex, int err)
{
	char name[PST_STEER_PROGRAM_NAME_LEN], remedy[256];
	const char *why = strerror(err);

	switch (err) {
	case EPERM:
		snprintf(
			remedy, sizeof(remedy), "start as root, or with CAP_NET_ADMIN and CAP_BPF");
		break;
	case EBUSY:
	case EEXIST: {
		uint32_t id = pst_steer_occupant(ifindex, name);
		snprintf(remedy, sizeof(remedy),
			"end the program that put it there, or `ip link set dev %s xdp off`",
			ifname);
		return pst_diag_set(diag, NULL, 0, NULL, remedy,
			"%s: an XDP program is attached already (id %u%s%s)", ifname, id,
			name[0] ? ", name " : "", name);
	}
	case ERANGE:
	case EINVAL:
	case ENOMEM:
	case ENOSPC:
	case EOPNOTSUPP:
		why = "its driver refuses XDP as the interface is set up now";
		snprintf(remedy, sizeof(remedy),
			"look into dmesg; lower the MTU (`ip link set dev %s mtu 1500`), switch "
			"off LRO "
			"(`ethtool -K %s lro off`), use fewer queues (`ethtool -L %s ...`)",
			ifname, ifname, ifname);
		break;
	case ENODEV:
		snprintf(remedy, sizeof(remedy), "was the interface deleted?");
		break;
	default:
		remedy[0] = '\0';
	}
	return pst_diag_set(diag, NULL, 0, NULL, remedy,
		"%s: cannot attach the steering program: %s (%s)", ifname, why, strerror(err));
}

/* The kernel takes the driver's mode where the driver has one, else the generic. A veth that
 * refuses (fewer queues than its peer, say) works as well in generic mode; on hardware that would
 * cost what XDP is for and collide with zero-copy sockets, so there the refusal stands. */
static int
attach(struct pst_steer *steer, const char *ifname, unsigned ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int program_fd = pst_steer_program_fd(steer);
	int fd = bpf_link_create(program_fd, (int)ifindex, BPF_XDP, &opts);
	if (fd < 0 && fd != -EPERM && fd != -EBUSY && fd != -EEXIST && is_veth(ifname)) {
		opts.flags = XDP_FLAGS_SKB_MODE;
		int generic_fd = bpf_link_create(program_fd, (int)ifindex, BPF_XDP, &opts);
		if (generic_fd >= 0)
			pst_warning("%s: its driver refuses XDP (%s); steering in generic mode, "
				    "which is slower",
				ifname, strerror(-fd));
		fd = generic_fd >= 0 ? generic_fd : fd;
	}
	return fd;
}

int
pst_steer_attach(unsigned ifindex, uint32_t frame_bytes_max, const struct pst_steer_target *targets,
	unsigned target_cnt, struct pst_steer **out, struct pst_diag *diag)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct pst_steer *steer;
	char ifname[IF_NAMESIZE];

	if (!if_indextoname(ifindex, ifname))
		return pst_diag_set(
			diag, NULL, 0, NULL, NULL, "interface %u: %s", ifindex, strerror(errno));
	if (pst_steer_load(ifname, frame_bytes_max, targets, target_cnt, &steer, diag) != 0)
		return -1;
	steer->link_fd = attach(steer, ifname, ifindex);
	if (steer->link_fd < 0) {
		int err = -steer->link_fd;
		steer->link_fd = -1;
		pst_steer_free(steer);
		return attach_failed(diag, ifname, ifindex, err);
	}
	steer->is_native = bpf_xdp_query((int)ifindex, 0, &query) == 0 &&
			   query.attach_mode != XDP_ATTACHED_SKB;
	*out = steer;
	return 0;
}

const char *
pst_steer_mode(const struct pst_steer *steer)
{
	return steer->is_native ? "native" : "generic";
}

void
pst_steer_detach(struct pst_steer *steer)
{
	if (steer->link_fd < 0)
		return;
	close(steer->link_fd);
	steer->link_fd = -1;
}

static uint64_t
sum_of(const struct pst_steer *steer, unsigned count)
{
	uint64_t sum = 0;
	/* Written by the program on each CPU; aligned words are read whole. */
	for (unsigned i = 0; i < steer->slot_cnt; i++)
		sum += *(const volatile __u64 *)&steer->slots[i].counts[count];
	return sum;
}

void
pst_steer_counts(const struct pst_steer *steer, uint64_t counts[PST_STEER_COUNT_CNT])
{
	for (unsigned i = 0; i < PST_STEER_COUNT_CNT; i++)
		counts[i] = sum_of(steer, i);
}

uint64_t
pst_steer_passed(const struct pst_steer *steer)
{
	return sum_of(steer, PST_STEER_PASS_LARGE) + sum_of(steer, PST_STEER_PASS_FRAGMENT) +
	       sum_of(steer, PST_STEER_PASS_OPTIONS) + sum_of(steer, PST_STEER_PASS_NO_SOCKET) +
	       sum_of(steer, PST_STEER_PASS_ADDRESS);
}
