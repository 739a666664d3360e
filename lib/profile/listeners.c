#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "profile/load.h"

static void
listener_key(char key[64], uint32_t idx, const char *name)
{
	snprintf(key, 64, "listeners[%u].%s", idx, name);
}

static int
find_stream(struct pst_load *load, uint32_t idx, const char *name, uint16_t *out)
{
	const struct pst_profile *p = load->profile;
	char key[64], remedy[384];

	for (uint16_t i = 0; i < p->declared_stream_cnt; i++)
		if (strcmp(p->streams[i].name, name) == 0) {
			*out = i;
			return 0;
		}
	listener_key(key, idx, "stream");
	size_t len = (size_t)snprintf(
		remedy, sizeof(remedy), "declare it under streams, or use one that is there:");
	for (uint16_t i = 0; i < p->declared_stream_cnt && len < sizeof(remedy); i++)
		len += (size_t)snprintf(remedy + len, sizeof(remedy) - len, "%s %.64s",
			i ? "," : "", p->streams[i].name);
	return pst_load_fail(load, key, remedy, "there is no stream \"%.64s\"", name);
}

/* Whose is the address and port already? Fails with *diag if somebody's. */
static int
check_free(struct pst_load *load, const char *key, uint32_t idx, const struct pst_addr *addr)
{
	const struct pst_profile *p = load->profile;
	const struct pst_profile_listener *mine = &p->listeners[idx];
	char text[INET6_ADDRSTRLEN], its_key[64];

	for (uint32_t other = 0; other <= idx; other++) {
		const struct pst_profile_listener *its = &p->listeners[other];
		if (its->udp_port != mine->udp_port)
			continue;
		for (uint16_t a = 0; a < its->addr_cnt; a++) {
			if (memcmp(&its->addrs[a], addr, sizeof(*addr)) != 0)
				continue;
			pst_addr_format(addr, text);
			if (other == idx)
				return pst_load_fail(load, key,
					"name each address once; \"*\" stands for 0.0.0.0 and ::",
					"%s is named twice", text);
			listener_key(its_key, other, "addresses");
			return pst_load_fail(load, key,
				"give one of the two another address or port",
				"listener \"%s\" (line %u) has %s port %u already", its->name,
				pst_yaml_line(p->lines, its_key), text, its->udp_port);
		}
	}
	return 0;
}

static int
add_address(struct pst_load *load, const char *key, uint32_t idx, const char *text)
{
	struct pst_profile_listener *listener = &load->profile->listeners[idx];
	struct pst_addr addr;

	if (pst_addr_parse(text, &addr) != 0)
		return pst_load_fail(load, key,
			"give an IPv4 or IPv6 address, or \"*\" for every address of this host",
			"\"%s\" is not an address", text);
	if (check_free(load, key, idx, &addr) != 0)
		return -1;
	if (listener->addr_cnt == PST_ADDRESSES_MAX)
		return pst_load_fail(load, key, "spread them over two listeners",
			"more than %d addresses", PST_ADDRESSES_MAX);
	listener->addrs[listener->addr_cnt++] = addr;
	return 0;
}

static int
load_addresses(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_listener *raw = &load->raw->listeners[idx];
	struct pst_profile_listener *listener = &load->profile->listeners[idx];
	char key[64], name[32];

	listener->addrs = calloc(PST_ADDRESSES_MAX, sizeof(listener->addrs[0]));
	if (!listener->addrs)
		return pst_load_fail(load, "listeners", NULL, "out of memory");
	for (uint32_t i = 0; i < raw->address_cnt; i++) {
		const char *text = raw->addresses[i];
		snprintf(name, sizeof(name), "addresses[%u]", i);
		listener_key(key, idx, name);
		if (strcmp(text, "*") == 0) {
			if (add_address(load, key, idx, "0.0.0.0") != 0 ||
				add_address(load, key, idx, "::") != 0)
				return -1;
		} else if (add_address(load, key, idx, text) != 0) {
			return -1;
		}
	}
	return 0;
}

static int
load_allow(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_listener *raw = &load->raw->listeners[idx];
	struct pst_profile_listener *listener = &load->profile->listeners[idx];
	char key[64], name[32];

	if (raw->allow_cnt == 0)
		return 0;
	listener->allow = calloc(raw->allow_cnt, sizeof(listener->allow[0]));
	if (!listener->allow)
		return pst_load_fail(load, "listeners", NULL, "out of memory");
	for (uint32_t i = 0; i < raw->allow_cnt; i++) {
		snprintf(name, sizeof(name), "allow[%u]", i);
		listener_key(key, idx, name);
		if (pst_prefix_parse(raw->allow[i], &listener->allow[i]) != 0)
			return pst_load_fail(load, key,
				"give address/length with no bits set behind the prefix, as in "
				"10.0.0.0/8, 192.0.2.7/32, 2001:db8::/32",
				"\"%s\" is not a prefix", raw->allow[i]);
	}
	listener->allow_cnt = (uint16_t)raw->allow_cnt;
	return 0;
}

static int
load_listener(struct pst_load *load, uint32_t idx)
{
	static const struct pst_number udp_port = {PST_NUMBER_COUNT, 1, 65535, false};
	const struct pst_raw_listener *raw = &load->raw->listeners[idx];
	struct pst_profile_listener *listener = &load->profile->listeners[idx];
	uint64_t port = 0;
	char key[64];

	listener->name = raw->name;
	listener->framing = (enum pst_framing)raw->framing;
	listener->default_drop = raw->default_action != 0;
	listener_key(key, idx, "name");
	if (pst_load_name(load, key, raw->name) != 0)
		return -1;
	for (uint32_t other = 0; other < idx; other++)
		if (strcmp(load->profile->listeners[other].name, raw->name) == 0)
			return pst_load_fail(load, key, "give each listener a name of its own",
				"listeners[%u] is called \"%s\", too", other, raw->name);
	listener_key(key, idx, "port");
	if (pst_load_number(load, key, raw->port, &udp_port, 0, &port) != 0)
		return -1;
	listener->udp_port = (uint16_t)port;
	if (find_stream(load, idx, raw->stream, &listener->stream_idx) != 0 ||
		load_addresses(load, idx) != 0 || load_allow(load, idx) != 0)
		return -1;
	return 0;
}

int
pst_load_listeners(struct pst_load *load)
{
	struct pst_profile *p = load->profile;

	p->listeners = calloc(load->raw->listener_cnt, sizeof(p->listeners[0]));
	if (!p->listeners)
		return pst_load_fail(load, "listeners", NULL, "out of memory");
	p->listener_cnt = (uint16_t)load->raw->listener_cnt;
	for (uint32_t i = 0; i < load->raw->listener_cnt; i++)
		if (load_listener(load, i) != 0)
			return -1;
	return 0;
}
