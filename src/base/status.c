/* SPDX-License-Identifier: Apache-2.0 */
#include "larder/status.h"

#include <errno.h>
#include <stdio.h>

#define NAME(error) [error] = #error
static const char *const names[] = {
    NAME(EPERM),           NAME(ENOENT),      NAME(EINTR),        NAME(EIO),          NAME(ENXIO),
    NAME(E2BIG),           NAME(EBADF),       NAME(ECHILD),       NAME(EAGAIN),       NAME(ENOMEM),
    NAME(EACCES),          NAME(EFAULT),      NAME(EBUSY),        NAME(EEXIST),       NAME(EXDEV),
    NAME(ENODEV),          NAME(ENOTDIR),     NAME(EISDIR),       NAME(EINVAL),       NAME(ENFILE),
    NAME(EMFILE),          NAME(ENOTTY),      NAME(ETXTBSY),      NAME(EFBIG),        NAME(ENOSPC),
    NAME(ESPIPE),          NAME(EROFS),       NAME(EMLINK),       NAME(EPIPE),        NAME(EDOM),
    NAME(ERANGE),          NAME(EDEADLK),     NAME(ENAMETOOLONG), NAME(ENOLCK),       NAME(ENOSYS),
    NAME(ENOTEMPTY),       NAME(ELOOP),       NAME(ENODATA),      NAME(ETIME),        NAME(ENONET),
    NAME(ENOLINK),         NAME(ECOMM),       NAME(EPROTO),       NAME(EBADMSG),      NAME(EOVERFLOW),
    NAME(EILSEQ),          NAME(EUSERS),      NAME(ENOTSOCK),     NAME(EDESTADDRREQ), NAME(EMSGSIZE),
    NAME(EPROTONOSUPPORT), NAME(ENOTSUP),     NAME(EAFNOSUPPORT), NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL),
    NAME(ENETDOWN),        NAME(ENETUNREACH), NAME(ENETRESET),    NAME(ECONNABORTED), NAME(ECONNRESET),
    NAME(ENOBUFS),         NAME(EISCONN),     NAME(ENOTCONN),     NAME(ESHUTDOWN),    NAME(ETIMEDOUT),
    NAME(ECONNREFUSED),    NAME(EHOSTDOWN),   NAME(EHOSTUNREACH), NAME(EALREADY),     NAME(EINPROGRESS),
    NAME(ESTALE),          NAME(EREMOTEIO),   NAME(EDQUOT),       NAME(EMEDIUMTYPE),  NAME(ECANCELED),
    NAME(ENOKEY),          NAME(EKEYEXPIRED), NAME(EKEYREJECTED), NAME(EOWNERDEAD),   NAME(ENOTRECOVERABLE),
};

const char *larder_status_name(int status)
{
    if (status >= 0)
        return "OK";
    unsigned error = -(unsigned)status;
    if (error < sizeof(names) / sizeof(names[0]) && names[error])
        return names[error];
    static _Thread_local char other[16];
    snprintf(other, sizeof(other), "E%u", error);
    return other;
}

const char *larder_version(void)
{
#define TEXT(number)  #number
#define VALUE(number) TEXT(number)
    return VALUE(LARDER_VERSION_MAJOR) "." VALUE(LARDER_VERSION_MINOR) "." VALUE(LARDER_VERSION_PATCH);
#undef VALUE
#undef TEXT
}
