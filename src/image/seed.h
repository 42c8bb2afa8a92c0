/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SEED_H
#define LODGE_SEED_H

/*
 * Seeds: the small CD that tells cloud-init in a machine who it is. It stands in image/ and not in engine/vm,
 * because it is made of texts and written to a file as an image is, and knows nothing of guests or QEMU.
 *
 * NoCloud (cloud-init, datasources/nocloud.rst): volume "cidata" with meta-data, user-data, vendor-data and
 * network-config. Config drive (datasources/configdrive.rst; OpenStack's layout): volume "config-2" with
 * openstack/latest/{meta_data.json,user_data,vendor_data.json,network_data.json}.
 *
 * The user's files go onto the CD byte for byte. What is added (keys, the user's name, the report) goes into
 * meta-data and vendor-data, which cloud-init merges below what the user says.
 */

#include <glib.h>
#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"

#define SEED_TEXT_MAX (16 << 20) /* bytes of one text; cloud-init reads it whole */
#define SEED_KEYS_MAX 256
#define SEED_NICS_MAX 64

enum seed_form {
	SEED_NOCLOUD,
	SEED_CONFIG_DRIVE,
	_SEED_FORM_MAX,
};
/* "nocloud", "config-drive" -> form; -E_USAGE. */
int seed_form_from_name(const char *name, struct err *e);

/* A text that comes from somewhere: name is the file's, for messages. text NULL: not given. */
struct seed_text {
	const char *name;
	const char *text;
	size_t size;
};

/* A network interface of the machine, for a network-config (version 2) that we write. */
struct seed_nic {
	const char *mac;	      /* "52:54:00:12:34:56": how the guest finds it */
	const char *const *addresses; /* "10.88.0.2/16", both families; NULL or empty: DHCP */
	const char *gateway, *gateway6;
	const char *const *dns;	   /* addresses; NULL: none */
	const char *const *search; /* domains; NULL: none */
	int mtu;		   /* 0: the guest's */
};

/* A config drive has no place for a network_config of the user's, nor for search domains of nics:
 * -E_UNSUPPORTED. */
struct seed {
	enum seed_form form;
	const char *instance_id; /* another one makes cloud-init do all again, as on a first boot */
	const char *hostname;	 /* NULL: the guest's own */
	struct seed_text user_data, vendor_data, network_config;
	const struct seed_nic *nics; /* instead of network_config */
	unsigned n_nics;
	const char *const
		*ssh_keys;	   /* lines of authorized_keys, for the default user; NULL: none */
	const char *user;	   /* name of the default user; NULL: the image's ("debian") */
	const char *password_hash; /* of the default user, crypt(3); NULL: no password */
	bool report;		   /* the guest tells how its boot went, see seed_result */
};

/*
 * Everything that can be known before a boot. Pure. -E_INVALID with "user-data 'FILE' line 3, column 5: ..."
 * for what cloud-init would refuse or drop; warnings (may be NULL) gets a line of the same form for what it would
 * complain of and go on (a key that nobody knows). Text that isn't cloud-config (scripts, includes, archives,
 * MIME) is checked as far as its kind allows.
 */
int seed_check(const struct seed *s, GPtrArray *warnings, struct err *e);

/* One text of it. */
enum seed_what {
	SEED_USER_DATA,
	SEED_VENDOR_DATA,
	SEED_NETWORK_CONFIG,
	_SEED_WHAT_MAX,
};
int seed_check_text(
	enum seed_what what, const struct seed_text *t, GPtrArray *warnings, struct err *e);

/* The public keys in a file: of ssh-keygen, or an authorized_keys. *ret: g_strfreev. Pure. -E_INVALID for a file
 * without one, for a private key, and for what isn't a key, with the line. */
int seed_keys_parse(const struct seed_text *t, char ***ret, struct err *e);

/* The files on the CD: struct seed_file. Pure; calls seed_check. Caller frees with g_ptr_array_unref. */
struct seed_file {
	char *path; /* on the CD: "meta-data", "openstack/latest/meta_data.json" */
	char *data;
	size_t size;
};
int seed_files(const struct seed *s, GPtrArray **ret, struct err *e);

/* Checks, and writes the CD's image: beside, synced, renamed; mode 0600. */
int seed_make(struct ctx *c, const struct seed *s, const char *path, struct err *e);

/* --- what the guest tells ------------------------------------------------------------------------------- */

/*
 * With `report` the vendor-data has a boothook which starts a unit that waits for cloud-init's end and then
 * writes one line of JSON to the virtio-serial port of this name, at each boot. Where there is no such port it does
 * nothing. The port's bytes are the guest's: untrusted.
 */
#define SEED_PORT     "org.lodge.boot"
#define SEED_LINE_MAX (64 << 10) /* bytes of a line; the reader drops longer ones */

struct seed_host_key {
	char *type;	   /* "ssh-ed25519" */
	char *key;	   /* base64, as in known_hosts */
	char *fingerprint; /* "SHA256:...", made here */
};
struct seed_result {
	char *status;	      /* "done", or "error": errors says why */
	char *boot;	      /* the guest's boot id, "" if it told none */
	char *datasource;     /* "DataSourceNoCloud [seed=/dev/sr0][dsmode=net]" */
	char *instance_id;    /* what the guest took for its own */
	char **errors;	      /* cloud-init's, one line each */
	char **addresses;     /* "10.0.2.15" */
	GPtrArray *host_keys; /* struct seed_host_key */
};
void seed_result_free(struct seed_result *r);
void seed_result_freep(struct seed_result **r);

/* One line, with or without its newline. Pure. -E_CORRUPT, -E_LIMIT. Texts are UTF-8 without control
 * characters, addresses are addresses, keys are of the type that they say. */
int seed_result_parse(const char *line, size_t size, struct seed_result **ret, struct err *e);
/* For inspect: {"Status", "Datasource", "InstanceId", "Errors", "Addresses", "HostKeys": [{"Type", "Key",
 * "Fingerprint"}]}. */
json_t *seed_result_json(const struct seed_result *r);

#endif
