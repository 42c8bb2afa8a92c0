/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is read can be answered, and the answer can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_query q, again;
	struct dns_reply r;
	enum dns_rcode rcode;
	uint8_t out[DNS_MESSAGE_MAX], address[16];
	bool cut;
	size_t n;

	if (size > DNS_MESSAGE_MAX)
		return 0;
	(void)dns_parse_reply(data, size, &q, &rcode, &cut);
	if (dns_parse_query(data, size, &q) < 0)
		return 0;
	n = dns_parse_arpa(q.name, address);
	dns_reply_begin(&r, out, sizeof(out), &q, data, DNS_NOERROR);
	for (int i = 0; i < 300; i++)
		dns_reply_address(&r, address, n == 16 ? 16 : 4, 1);
	dns_reply_name(&r, "web.bridge", 1);
	n = dns_reply_end(&r);
	if (n > q.udp_size || dns_parse_reply(out, n, &again, &rcode, &cut) < 0 ||
		rcode != DNS_NOERROR || again.id != q.id || !dns_same_question(&q, &again))
		abort();
	n = dns_cut(out, n, &again);
	if (n > DNS_UDP_MIN)
		abort();
	return 0;
}
