/* What needs no device: arguments for EAL, names, kernel texts, locks. The rest is in test/port. */
#include <criterion/criterion.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "port/link.h"
#include "port/ports.h"

#define ARGS_MAX 16

static struct pst_ports *
create(struct pst_profile *profile, struct pst_profile_port *ports, uint16_t port_cnt)
{
	struct pst_ports *out = NULL;
	struct pst_diag diag;
	profile->ports = ports;
	profile->port_cnt = port_cnt;
	cr_assert_eq(pst_ports_create(profile, &out, &diag), 0, "%s", diag.text);
	return out;
}

static const char *
refusal(struct pst_profile_port *ports, uint16_t port_cnt)
{
	static struct pst_diag diag;
	struct pst_profile profile = {.ports = ports, .port_cnt = port_cnt};
	struct pst_ports *out = NULL;
	cr_assert_eq(pst_ports_create(&profile, &out, &diag), -1);
	cr_assert_null(out);
	return diag.text;
}

Test(eal_args, one_af_xdp_device_per_queue)
{
	struct pst_profile profile = {0};
	struct pst_profile_port port = {
		.name = "wire", .kind = PST_PORT_AF_XDP, .device = "lo", .queue_cnt = 2};
	const char *args[ARGS_MAX];

	/* The lock is not the question here, and needs a place to write. */
	struct pst_ports ports = {.profile = &profile};
	struct pst_diag diag;
	profile.ports = &port;
	profile.port_cnt = 1;
	cr_assert_eq(pst_port_make_eal_args(&ports, &diag), 0);
	cr_assert_eq(pst_ports_eal_args(&ports, args, ARGS_MAX), 3);
	cr_assert_str_eq(args[0], "--vdev=net_af_xdp_wire_0,iface=lo,start_queue=0,queue_count=1,"
				  "busy_budget=0");
	cr_assert_str_eq(args[1], "--vdev=net_af_xdp_wire_1,iface=lo,start_queue=1,queue_count=1,"
				  "busy_budget=0");
	cr_assert_str_eq(args[2], "--no-pci");
	cr_assert_eq(pst_ports_eal_args(&ports, args, 2), 2, "never beyond cap");
	free(ports.eal_args);
}

Test(eal_args, pci_and_vdevs_as_the_profile_says)
{
	struct pst_profile profile = {0};
	struct pst_profile_port ports[] = {
		{.name = "a", .kind = PST_PORT_PCI, .device = "3b:00.1,x=1", .queue_cnt = 4},
		{.name = "b",
			.kind = PST_PORT_VDEV,
			.device = "net_pcap0,rx_pcap=x",
			.queue_cnt = 1},
	};
	char name[RTE_ETH_NAME_MAX_LEN];
	const char *args[ARGS_MAX];
	struct pst_ports *out = create(&profile, ports, 2);

	cr_assert_eq(pst_ports_eal_args(out, args, ARGS_MAX), 2);
	cr_assert_str_eq(args[0], "--allow=3b:00.1,x=1");
	cr_assert_str_eq(args[1], "--vdev=net_pcap0,rx_pcap=x");
	pst_port_ethdev_name(&ports[0], 3, name);
	cr_assert_str_eq(name, "0000:3b:00.1", "as EAL names it");
	pst_port_ethdev_name(&ports[1], 0, name);
	cr_assert_str_eq(name, "net_pcap0");
	pst_ports_destroy(out);
}

Test(eal_args, refuses_what_cannot_be_a_device)
{
	char longest[PST_PORT_ARG_LEN + 1], long_name[80];
	struct pst_profile_port port = {.name = "a", .kind = PST_PORT_VDEV, .queue_cnt = 1};

	port.device = "net_af_xdp0,iface=lo";
	cr_assert(strstr(refusal(&port, 1), "neither steering nor kernel path"));
	port.device = ",x=1";
	cr_assert(strstr(refusal(&port, 1), "no device name"));
	memset(longest, 'x', sizeof(longest));
	longest[8] = ',';
	longest[sizeof(longest) - 1] = '\0';
	port.device = longest;
	cr_assert(strstr(refusal(&port, 1), "more than"));
	memset(long_name, 'n', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	port.device = long_name;
	cr_assert(strstr(refusal(&port, 1), "no device name"));
	port.kind = PST_PORT_PCI;
	port.device = "eth0";
	cr_assert(strstr(refusal(&port, 1), "not a PCI address"));
}

Test(ports, refuses_interfaces_that_are_missing)
{
	struct pst_profile_port port = {
		.name = "a", .kind = PST_PORT_AF_XDP, .device = "no-such-if0", .queue_cnt = 1};
	cr_assert(strstr(refusal(&port, 1), "no interface no-such-if0"));
}

/* ---- lock ---- */

static void
private_runtime(char *directory)
{
	strcpy(directory, "/tmp/pst_port_lockXXXXXX");
	cr_assert(mkdtemp(directory));
}

static struct port
port_on(const struct pst_profile_port *profile, unsigned ifindex)
{
	return (struct port){.profile = profile, .ifindex = ifindex, .lock_fd = -1};
}

Test(lock, excludes_a_second_process_until_the_first_ends)
{
	struct pst_profile_port profile = {.name = "a", .device = "if7"};
	char directory[64], pid[32], path[96];
	struct port first = port_on(&profile, 7), other = port_on(&profile, 8), again;
	struct pst_diag diag;
	int status;

	private_runtime(directory);
	cr_assert_eq(pst_port_lock_in(&first, directory, &diag), 0, "%s", diag.text);
	cr_assert_eq(
		pst_port_lock_in(&other, directory, &diag), 0, "another interface: %s", diag.text);
	pid_t child = fork();
	if (child == 0) {
		again = port_on(&profile, 7);
		snprintf(pid, sizeof(pid), "process %d ", (int)getppid());
		_exit(pst_port_lock_in(&again, directory, &diag) == -1 &&
					strstr(diag.text, "if7") && strstr(diag.text, pid)
				? 0
				: 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0, "the second process was not refused as it should be");
	pst_port_unlock(&first);
	again = port_on(&profile, 7);
	cr_assert_eq(pst_port_lock_in(&again, directory, &diag), 0, "%s", diag.text);
	pst_port_unlock(&again);
	pst_port_unlock(&other);
	snprintf(path, sizeof(path), "%s/penstock", directory);
	cr_assert_eq(rmdir(path), 0, "locks leave no files");
	cr_assert_eq(rmdir(directory), 0);
}

/* A killed holder leaves its file, not its lock; nor is another's file followed. */
Test(lock, a_left_over_file_is_no_lock, .timeout = 30)
{
	struct pst_profile_port profile = {.name = "a", .device = "if7"};
	struct port port = port_on(&profile, 7);
	char directory[64], path[96];
	struct pst_diag diag;
	int status;

	private_runtime(directory);
	pid_t child = fork();
	if (child == 0)
		_exit(pst_port_lock_in(&port, directory, &diag) == 0 ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(pst_port_lock_in(&port, directory, &diag), 0, "%s", diag.text);
	pst_port_unlock(&port);
	char target[80];
	snprintf(target, sizeof(target), "%s/file", directory);
	FILE *f = fopen(target, "w");
	cr_assert(f);
	fclose(f);
	cr_assert_eq(symlink(target, port.lock_path), 0);
	cr_assert_eq(pst_port_lock_in(&port, directory, &diag), -1);
	unlink(port.lock_path);
	unlink(target);
	snprintf(path, sizeof(path), "%s/penstock", directory);
	rmdir(path);
	rmdir(directory);
}

/* ---- what the kernel says ---- */

Test(link, dropped_columns)
{
	const char *text =
		"Inter-|   Receive                          |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
		"    lo: 2776770   11307    0    5    0     0          0         0  277\n"
		"  eth0:1228 273 0 18446744073709551615 0 0 0 0 77 5 0 9 0 0 0 0\n"
		" eth01: 1 2 3 4 5 6 7 8\n";
	cr_expect_eq(pst_link_drops_in(text, "lo").rx, 5);
	cr_expect_eq(pst_link_drops_in(text, "eth0").rx, UINT64_MAX);
	cr_expect_eq(pst_link_drops_in(text, "eth0").tx, 9);
	cr_expect_eq(pst_link_drops_in(text, "eth01").rx, 4);
	cr_expect_eq(pst_link_drops_in(text, "eth").rx, 0);
	cr_expect_eq(pst_link_drops_in("lo: 1 2", "lo").rx, 0);
	cr_expect_eq(pst_link_drops_in("", "lo").rx, 0);
}

Test(link, loopback_as_it_is)
{
	struct pst_link link;
	bool fixed = false;
	cr_assert_eq(pst_link_read("lo", &link), 0);
	cr_assert(link.is_loopback);
	cr_assert_gt(link.mtu, 0);
	/* Loopback's checksumming cannot be switched off: an offload whose state is known. */
	cr_assert(pst_link_feature_on("lo", "tx-checksum-ip-generic", &fixed));
	cr_assert(fixed);
	cr_assert_not(pst_link_feature_on("lo", "no-such-offload", &fixed));
	cr_assert_lt(pst_link_read("no-such-if0", &link), 0);
}

/* ---- check ---- */

/* An interface with nothing to say about, on which each case changes one thing. */
static const struct pst_profile_port plain_port = {
	.name = "p", .kind = PST_PORT_AF_XDP, .device = "eth9", .queue_cnt = 2};
static const struct pst_link plain_link = {
	.is_up = true, .is_running = true, .mtu = 1500, .driver = "ice", .rx_queue_cnt = 2};

static void
check_one(const struct pst_link *link, const struct pst_link_offloads *offloads, bool fatal,
	const char *text, const char *cure)
{
	struct pst_port_finding found[8];
	unsigned cnt = pst_port_check_link(&plain_port, link, offloads, found, 8);
	cr_assert_eq(cnt, 1, "%s: %u findings", text, cnt);
	cr_expect_str_eq(found[0].port, "p");
	cr_expect_eq(found[0].fatal, fatal, "%s", found[0].text);
	cr_expect(strstr(found[0].text, text), "%s", found[0].text);
	cr_expect(strstr(found[0].text, "eth9"), "%s", found[0].text);
	cr_expect_str_eq(found[0].cure, cure);
}

Test(check, nothing_to_say)
{
	const struct pst_link_offloads none = {0};
	struct pst_port_finding found[8];
	struct pst_link link = plain_link;
	cr_expect_eq(pst_port_check_link(&plain_port, &link, &none, found, 8), 0);
	link.mtu = 3502; /* with Ethernet header and a tag exactly what a buffer holds */
	cr_expect_eq(pst_port_check_link(&plain_port, &link, &none, found, 8), 0);
	link.is_loopback = true;
	link.mtu = 65536;
	cr_expect_eq(pst_port_check_link(&plain_port, &link, &none, found, 8), 0);
}

Test(check, each_finding_with_its_cure)
{
	const struct pst_link_offloads none = {0};
	struct pst_link_offloads on = {0};
	struct pst_link link = plain_link;

	link.is_up = link.is_running = false;
	check_one(&link, &none, true, "is down", "ip link set dev eth9 up");
	link = plain_link;
	link.is_running = false;
	check_one(&link, &none, false, "no carrier", "");
	link = plain_link;
	link.rx_queue_cnt = 1;
	check_one(&link, &none, true, "1 rx queues, the profile wants 2",
		"ethtool -L eth9 combined 2");
	link.rx_queue_cnt = 8;
	check_one(&link, &none, false, "kernel path", "ethtool -L eth9 combined 2");
	strcpy(link.driver, "veth");
	check_one(&link, &none, false, "kernel path", "ethtool -L eth9 rx 2");
	link = plain_link;
	link.rx_queue_cnt = 0; /* no channels at all: one queue */
	check_one(&link, &none, true, "1 rx queues", "ethtool -L eth9 combined 2");
	link = plain_link;
	link.mtu = 3503;
	check_one(&link, &none, false, "MTU 3503", "ip link set dev eth9 mtu 3502");
	link = plain_link;
	on = (struct pst_link_offloads){.gro_forwarding = true};
	check_one(&link, &on, false, "merged", "ethtool -K eth9 rx-udp-gro-forwarding off");
	on = (struct pst_link_offloads){.gro_list = true};
	check_one(&link, &on, false, "merged", "ethtool -K eth9 rx-gro-list off");
	on = (struct pst_link_offloads){.vlan_strip = true};
	check_one(&link, &on, false, "VLAN", "ethtool -K eth9 rx-vlan-offload off");
	on = (struct pst_link_offloads){.udp_segmentation = true};
	link.is_loopback = true;
	check_one(&link, &on, false, "merged", "ethtool -K eth9 tx-udp-segmentation off");
}

Test(check, offloads_that_do_no_harm_where_they_are)
{
	const struct pst_link_offloads on = {.udp_segmentation = true, .vlan_strip = true};
	struct pst_port_finding found[8];
	struct pst_link link = plain_link;
	strcpy(link.driver, "veth");
	cr_expect_eq(pst_port_check_link(&plain_port, &link, &on, found, 8), 0);
}

Test(check, never_beyond_cap)
{
	const struct pst_link_offloads all = {true, true, true, true};
	struct pst_port_finding found[8] = {0};
	struct pst_link link = {.mtu = 9000};
	cr_expect_eq(pst_port_check_link(&plain_port, &link, &all, found, 3), 3);
	cr_expect_null(found[3].port);
	cr_expect_gt(pst_port_check_link(&plain_port, &link, &all, found, 8), 3);
}

Test(xsk, finds_the_new_socket)
{
	struct pst_xsk_fds before, now;
	int old = socket(AF_XDP, SOCK_RAW, 0);
	if (old < 0)
		cr_skip_test("AF_XDP sockets need CAP_NET_RAW");
	pst_xsk_fds_find(&before);
	cr_assert_eq(before.cnt, 1);
	cr_assert_eq(pst_xsk_fds_new(&before, &before), -1);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	int new = socket(AF_XDP, SOCK_RAW, 0);
	pst_xsk_fds_find(&now);
	cr_assert_eq(now.cnt, 2);
	cr_assert_eq(pst_xsk_fds_new(&before, &now), new);
	struct pst_port_stats stats = {0};
	pst_xsk_statistics_add(udp, &stats);
	cr_assert_not(stats.has_xdp);
	pst_xsk_statistics_add(new, &stats);
	cr_assert(stats.has_xdp);
	close(old);
	close(udp);
	close(new);
}
