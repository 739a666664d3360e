/* Where the metrics are to be had. */
#include <string.h>

#include "profile/load.h"

#define ADDRESS_DEFAULT "127.0.0.1"
#define PORT_DEFAULT    9464

int
pst_load_metrics(struct pst_load *load)
{
	static const struct pst_number port = {PST_NUMBER_COUNT, 1, 65535, true};
	const struct pst_raw_metrics *raw = &load->raw->metrics;
	struct pst_profile *p = load->profile;
	uint64_t number = 0;

	if (pst_load_number(load, "metrics.port", raw->port, &port, PORT_DEFAULT, &number) != 0)
		return -1;
	p->metrics_port = (uint16_t)number;
	p->metrics_address = raw->address ? raw->address : ADDRESS_DEFAULT;
	if (pst_addr_parse(p->metrics_address, &p->metrics_addr) != 0)
		return pst_load_fail(load, "metrics.address",
			"give an IPv4 or IPv6 address of this host, as in 127.0.0.1 or \"::1\"",
			"\"%.64s\" is not an address", p->metrics_address);
	if (pst_addr_is_multicast(&p->metrics_addr))
		return pst_load_fail(load, "metrics.address", "give an address of this host",
			"%s is a multicast group", p->metrics_address);
	/* The kernel lets a socket listen there, where no connection ever comes. */
	if (pst_addr_is_ipv4(&p->metrics_addr) &&
		memcmp(p->metrics_addr.bytes + 12, "\xff\xff\xff\xff", 4) == 0)
		return pst_load_fail(load, "metrics.address", "give an address of this host",
			"%s is the broadcast address", p->metrics_address);
	return 0;
}

bool
pst_profile_metrics_are_local(const struct pst_profile *profile)
{
	static const struct pst_addr ipv6_loopback = {.bytes = {[15] = 1}};
	const struct pst_addr *addr = &profile->metrics_addr;

	if (pst_addr_is_ipv4(addr))
		return addr->bytes[12] == 127;
	return memcmp(addr, &ipv6_loopback, sizeof(*addr)) == 0;
}
