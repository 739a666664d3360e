/* Listeners' targets -> keys of the steering program's map. */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "steer/program.h"

/* A target gives two keys for each of its addresses, a wildcard one more for itself. */
#define KEYS_PER_ADDR 2

static const struct pst_addr any_ipv6;
static const struct pst_addr any_ipv4 = {.bytes = {[10] = 0xff, [11] = 0xff}};

static bool
addr_equal(const struct pst_addr *a, const struct pst_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Whether the address belongs under a wildcard on this interface: every local one, as the kernel
 * answers to all of them on each interface, except other links' link-local ones. */
static bool
local_addr(const struct ifaddrs *ifa, const char *ifname, struct pst_addr *out)
{
	if (!ifa->ifa_addr)
		return false;
	if (ifa->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)(void *)ifa->ifa_addr;
		*out = any_ipv4;
		memcpy(out->bytes + 12, &sin->sin_addr, 4);
		return true;
	}
	if (ifa->ifa_addr->sa_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(void *)ifa->ifa_addr;
	if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr) && strcmp(ifa->ifa_name, ifname) != 0)
		return false;
	memcpy(out->bytes, &sin6->sin6_addr, 16);
	return true;
}

static void
keys_add(struct pst_steer_keys *set, const struct pst_addr *addr, enum pst_steer_key_kind kind,
	uint16_t udp_port)
{
	struct pst_steer_key *key = &set->keys[set->cnt++];
	memcpy(key->addr, addr->bytes, sizeof(key->addr));
	key->udp_port_be = htobe16(udp_port);
	key->kind = (uint16_t)kind;
}

static void
keys_add_addr(struct pst_steer_keys *set, const struct pst_addr *addr, uint16_t udp_port)
{
	keys_add(set, addr, PST_STEER_KEY_TARGET, udp_port);
	keys_add(set, addr, PST_STEER_KEY_ADDRESS, 0);
}

static void
keys_add_target(struct pst_steer_keys *set, const struct pst_steer_target *target,
	const char *ifname, const struct ifaddrs *local)
{
	bool is_ipv4 = addr_equal(&target->addr, &any_ipv4);
	bool is_ipv6 = addr_equal(&target->addr, &any_ipv6);
	struct pst_addr addr;

	if (!is_ipv4 && !is_ipv6) {
		keys_add_addr(set, &target->addr, target->udp_port);
		return;
	}
	keys_add(set, &target->addr, PST_STEER_KEY_WILDCARD, target->udp_port);
	set->any_ipv4 |= is_ipv4;
	set->any_ipv6 |= is_ipv6;
	for (const struct ifaddrs *ifa = local; ifa; ifa = ifa->ifa_next) {
		if (local_addr(ifa, ifname, &addr) && pst_addr_is_ipv4(&addr) == is_ipv4)
			keys_add_addr(set, &addr, target->udp_port);
	}
}

int
pst_steer_keys_make(const char *ifname, const struct pst_steer_target *targets, unsigned target_cnt,
	struct pst_steer_keys *out, struct pst_diag *diag)
{
	struct pst_steer_keys set = {0};
	struct ifaddrs *local;
	size_t local_cnt = 0;

	if (getifaddrs(&local) != 0)
		return pst_diag_set(
			diag, NULL, 0, NULL, NULL, "local addresses: %s", strerror(errno));
	for (const struct ifaddrs *ifa = local; ifa; ifa = ifa->ifa_next)
		local_cnt++;
	set.keys = calloc(target_cnt * (KEYS_PER_ADDR * (local_cnt + 1)), sizeof(*set.keys));
	if (!set.keys) {
		freeifaddrs(local);
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	}
	for (unsigned i = 0; i < target_cnt; i++)
		keys_add_target(&set, &targets[i], ifname, local);
	freeifaddrs(local);
	*out = set;
	return 0;
}
