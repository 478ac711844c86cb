/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_USER_DIR_H
#define BASE_USER_DIR_H
/* Where a user's files are: the variable `ours`, else `larder` below the XDG variable, else below $HOME/`rest`. Failures
 * have a text, which calls it "`what` directory". mem. -ENOENT: none of the three is set. */
int user_dir(const char *ours, const char *xdg, const char *rest, const char *what, char **out);

#endif
