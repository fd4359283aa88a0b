/* The physical limit: a module that asks once and then does what any module must that forgets no used code: open the
 * user's file, lock it, read it, overwrite a part of it in place and flush. It checks nothing. With a second argument
 * it also looks the user up and writes a log line, as whoever keeps records by name and uid must. */
#include <fcntl.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <syslog.h>
#include <unistd.h>

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	static char block[12288];
	const char *user;
	char path[512], names[1024], *answer = NULL;
	struct passwd entry, *known = NULL;
	int file, done, knows = argc == 2;

	(void)flags;
	if (argc < 1 || argc > 2 || pam_get_user(pamh, &user, NULL) != PAM_SUCCESS)
		return PAM_AUTH_ERR;
	if (pam_prompt(pamh, PAM_PROMPT_ECHO_OFF, &answer, "One-time code: ") != PAM_SUCCESS)
		return PAM_CONV_ERR;
	free(answer);
	if (knows && (getpwnam_r(user, &entry, names, sizeof names, &known) != 0 || known == NULL))
		return PAM_USER_UNKNOWN;
	snprintf(path, sizeof path, "%s/%s", argv[0], user);
	file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	done = file >= 0 && flock(file, LOCK_EX) == 0 &&
	       pread(file, block, sizeof block, 0) == (ssize_t)sizeof block &&
	       pwrite(file, block, 4096, 4096) == 4096 && fdatasync(file) == 0;
	if (file >= 0)
		close(file);
	if (knows)
		pam_syslog(pamh, LOG_INFO, "accepted user=%s uid=%u", known->pw_name, (unsigned)known->pw_uid);
	return done ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv) {
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
