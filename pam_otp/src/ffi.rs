//! What pam-bindings lacks, and the only unsafe code: a log line, a delay after failure, handing on a password.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use pam::constants::PamResultCode;
use pam::items::ItemType;
use pam::module::{PamHandle, PamResult};

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn pam_fail_delay(pamh: *mut PamHandle, microseconds: c_uint) -> c_int;
    fn pam_set_item(pamh: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
}

/// Sends one line to syslog, facility authpriv; libpam puts `pam_otp(service:hook): ` before it.
pub(crate) fn log(pamh: &PamHandle, priority: c_int, line: &CStr) {
    // SAFETY: the reference is a handle libpam gave us, valid for this call. The format is a constant with one `%s`,
    // and the one argument it takes is a string that ends in NUL and outlives the call.
    unsafe { pam_syslog(pamh, priority, c"%s".as_ptr(), line.as_ptr()) }
}

/// Asks that a failure be answered no sooner than about this long after it. Success is not delayed.
pub(crate) fn fail_delay(pamh: &mut PamHandle, microseconds: c_uint) {
    // SAFETY: the reference is a handle libpam gave us, valid for this call; nothing else is passed by pointer.
    // The result tells only whether the handle is null, which a reference is not.
    let _ = unsafe { pam_fail_delay(pamh, microseconds) };
}

/// Sets PAM_AUTHTOK, which the modules after ours read as the password.
pub(crate) fn set_authtok(pamh: &mut PamHandle, password: &CStr) -> PamResult<()> {
    // SAFETY: the reference is a handle libpam gave us, valid for this call. PAM_AUTHTOK takes a string that ends in
    // NUL; libpam copies it before it returns and wipes the copy itself.
    let code = unsafe { pam_set_item(pamh, ItemType::AuthTok as c_int, password.as_ptr().cast()) };
    match PamResultCode::try_from(code) {
        Ok(PamResultCode::PAM_SUCCESS) => Ok(()),
        Ok(other) => Err(other),
        Err(_) => Err(PamResultCode::PAM_SYSTEM_ERR),
    }
}
