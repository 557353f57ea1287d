/* SPDX-License-Identifier: Apache-2.0
 *
 * xenstore as netbus-xenwatch uses it: bounded values, errors as numbers, transactions that are tried again (daemon/xenwatch.h). xenstored is trusted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/xenwatch.h"

/* A transaction that clashes with another's writes fails with EAGAIN. Whoever writes the same nodes all the time must not keep us here. */
#define TRANSACTION_TRIES 32

/* An error that says nothing of nodes means that the daemon is gone. */
static int
failed(struct store *store)
{
	switch (errno) {
	case ENOENT:
	case EACCES:
	case EPERM:
	case EEXIST:
	case EAGAIN:
	case ENOSPC:
	case E2BIG:
	case EINVAL:
	case ENOMEM:
		return -errno;
	default:
		store->is_broken = true;
		return errno ? -errno : -EIO;
	}
}

int
store_open(struct store *store, struct error *error)
{
	char value[XEN_VALUE_MOST + 1];
	int length;

	/* Without XS_UNWATCH_FILTER, with which the library loses memory: an event that comes too late finds no disk. */
	store->handle = xs_open(0);
	if (store->handle == NULL)
		return error_errno(error, -errno,
		    "cannot open xenstore (is this a Xen host, does xenstored run, and did netbusd start as root?)");
	length = store_read(store, XBT_NULL, "domid", value);
	if (length < 0 || xen_number_parse(value, (size_t)length, XEN_DOMID_MOST, &store->domid) < 0)
		return error_set(error, -ENOENT,
		    "xenstore has no number of this domain in its node 'domid'; in dom0 xen-init-dom0 writes it");
	return 0;
}

int
store_read(struct store *store, xs_transaction_t at, const char *path, char value[static XEN_VALUE_MOST + 1])
{
	unsigned length = 0;
	AUTO_FREE char *bytes = xs_read(store->handle, at, path, &length);

	if (bytes == NULL)
		return failed(store);
	if (length > XEN_VALUE_MOST)
		return -EMSGSIZE;
	memcpy(value, bytes, length);
	value[length] = '\0';
	return (int)length;
}

int
store_write(struct store *store, xs_transaction_t at, const char *path, const char *text)
{
	return xs_write(store->handle, at, path, text, (unsigned)strlen(text)) ? 0 : failed(store);
}

int
store_remove(struct store *store, xs_transaction_t at, const char *path)
{
	if (xs_rm(store->handle, at, path))
		return 0;
	return errno == ENOENT ? 0 : failed(store);
}

int
store_make(struct store *store, xs_transaction_t at, const char *path, uint32_t owner, uint32_t reader)
{
	struct xs_permissions permissions[] = {{owner, XS_PERM_NONE}, {reader, XS_PERM_READ}};

	if (!xs_mkdir(store->handle, at, path) ||
	    !xs_set_permissions(store->handle, at, path, permissions, ARRAY_LENGTH(permissions)))
		return failed(store);
	return 0;
}

bool
store_has(struct store *store, xs_transaction_t at, const char *path)
{
	unsigned length;
	AUTO_FREE char *bytes = xs_read(store->handle, at, path, &length);

	if (bytes == NULL && errno != ENOENT)
		failed(store);
	return bytes != NULL;
}

bool
store_is_introduced(struct store *store, uint32_t domid)
{
	return xs_is_domain_introduced(store->handle, domid);
}

/* The first entry is the owner, whose `perms` are everybody else's. */
bool
store_is_toolstacks(struct store *store, const char *path)
{
	unsigned count = 0;
	AUTO_FREE struct xs_permissions *permissions = xs_get_permissions(store->handle, XBT_NULL, path, &count);

	if (permissions == NULL)
		return failed(store), false;
	if (count == 0 || (permissions[0].id != 0 && permissions[0].id != store->domid))
		return false;
	if (permissions[0].perms & XS_PERM_WRITE)
		return false;
	for (unsigned i = 1; i < count; i++)
		if ((permissions[i].perms & XS_PERM_WRITE) && permissions[i].id != 0 &&
		    permissions[i].id != store->domid)
			return false;
	return true;
}

char **
store_list(struct store *store, const char *path, unsigned *count)
{
	char **names = xs_directory(store->handle, XBT_NULL, path, count);

	if (names == NULL)
		failed(store);
	return names;
}

int
store_transact(struct store *store, int (*work)(struct store *store, xs_transaction_t at, void *owner), void *owner)
{
	for (unsigned i = 0; i < TRANSACTION_TRIES && !store->is_broken; i++) {
		xs_transaction_t at = xs_transaction_start(store->handle);
		int code;

		if (at == XBT_NULL)
			return failed(store);
		code = work(store, at, owner);
		if (xs_transaction_end(store->handle, at, code < 0))
			return code;
		if (errno != EAGAIN)
			return code < 0 ? code : failed(store);
	}
	return store->is_broken ? -EIO : -EAGAIN;
}
