/* The physical limit: a module that asks once and then does what any module must that forgets no used code: open the
 * user's file, lock it, read it, overwrite a part of it in place and flush. It checks nothing. */
#include <fcntl.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	static char block[12288];
	const char *user;
	char path[512], *answer = NULL;
	int file, done;

	(void)flags;
	if (argc != 1 || pam_get_user(pamh, &user, NULL) != PAM_SUCCESS)
		return PAM_AUTH_ERR;
	if (pam_prompt(pamh, PAM_PROMPT_ECHO_OFF, &answer, "One-time code: ") != PAM_SUCCESS)
		return PAM_CONV_ERR;
	free(answer);
	snprintf(path, sizeof path, "%s/%s", argv[0], user);
	file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	done = file >= 0 && flock(file, LOCK_EX) == 0 &&
	       pread(file, block, sizeof block, 0) == (ssize_t)sizeof block &&
	       pwrite(file, block, 4096, 4096) == 4096 && fdatasync(file) == 0;
	if (file >= 0)
		close(file);
	return done ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
