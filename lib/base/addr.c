#include "base/addr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ipv4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
pst_addr_is_zero(const struct pst_addr *addr)
{
	static const struct pst_addr zero;
	return memcmp(addr, &zero, sizeof(zero)) == 0;
}

bool
pst_addr_is_ipv4(const struct pst_addr *addr)
{
	return memcmp(addr->bytes, ipv4_mapped, sizeof(ipv4_mapped)) == 0;
}

bool
pst_addr_is_multicast(const struct pst_addr *addr)
{
	return pst_addr_is_ipv4(addr) ? addr->bytes[12] >> 4 == 0xe : addr->bytes[0] == 0xff;
}

unsigned
pst_addr_format(const struct pst_addr *addr, char buf[INET6_ADDRSTRLEN])
{
	if (pst_addr_is_ipv4(addr))
		inet_ntop(AF_INET, addr->bytes + 12, buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, addr->bytes, buf, INET6_ADDRSTRLEN);
	return (unsigned)strlen(buf);
}

int
pst_addr_parse(const char *text, struct pst_addr *out)
{
	struct pst_addr addr;
	memcpy(addr.bytes, ipv4_mapped, sizeof(ipv4_mapped));
	if (inet_pton(AF_INET, text, addr.bytes + 12) != 1 &&
		inet_pton(AF_INET6, text, addr.bytes) != 1)
		return -1;
	*out = addr;
	return 0;
}

int
pst_prefix_parse(const char *text, struct pst_prefix *out)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct pst_prefix prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(host))
		return -1;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (pst_addr_parse(host, &prefix.addr) != 0)
		return -1;
	unsigned family_bits = strchr(host, ':') ? 128 : 32;
	char *end;
	if (slash[1] < '0' || slash[1] > '9')
		return -1;
	unsigned long len = strtoul(slash + 1, &end, 10);
	if (*end || len > family_bits)
		return -1;
	prefix.len = (uint8_t)(128 - family_bits + len);
	for (unsigned bit = prefix.len; bit < 128; bit++)
		if (prefix.addr.bytes[bit / 8] & (0x80 >> bit % 8))
			return -1;
	*out = prefix;
	return 0;
}

bool
pst_prefix_holds(const struct pst_prefix *prefix, const struct pst_addr *addr)
{
	unsigned whole = prefix->len / 8, rest = prefix->len % 8;
	if (memcmp(prefix->addr.bytes, addr->bytes, whole) != 0)
		return false;
	return rest == 0 || ((prefix->addr.bytes[whole] ^ addr->bytes[whole]) >> (8 - rest)) == 0;
}
