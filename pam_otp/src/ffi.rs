//! What pam-bindings lacks, and the only unsafe code: a log line, a delay after failure, handing on a password, what the host
//! keeps in its environment of PAM, word from one hook to another, and memory that is wiped: now, or as it is given back.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io::Write;
use std::ptr;

use pam::constants::PamResultCode;
use pam::items::ItemType;
use pam::module::{PamHandle, PamResult};

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn pam_fail_delay(pamh: *mut PamHandle, microseconds: c_uint) -> c_int;
    fn pam_set_item(pamh: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_set_data(
        pamh: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<extern "C" fn(*mut PamHandle, *mut c_void, c_int)>,
    ) -> c_int;
    fn pam_get_data(pamh: *const PamHandle, name: *const c_char, data: *mut *const c_void)
    -> c_int;
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
    understood(code)
}

/// What the host has put under this name into the environment of PAM, which is the handle's own and not the process's.
pub(crate) fn environment<'a>(pamh: &'a PamHandle, name: &CStr) -> Option<&'a CStr> {
    // SAFETY: the reference is a handle libpam gave us, valid for this call, which reads it and changes nothing; the name is
    // a string that outlives the call.
    let value = unsafe { pam_getenv(ptr::from_ref(pamh).cast_mut(), name.as_ptr()) };
    // SAFETY: what is not null is a string that ends in NUL. It stays until the host or a module puts another value in its
    // place, which nobody does while we hold the reference: neither runs before we prompt or return.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
}

/// What a number on the handle is called. Its own, so that nothing else is taken for one. A login asks for a dozen, so it
/// stands where it is made. It ends in NUL, because a number has 20 digits at most.
fn name_of_word(index: usize) -> [u8; 40] {
    let mut name = [0; 40];
    let _ = write!(name.as_mut_slice(), "pam_otp:mark:{index}");
    name
}

/// Keeps a number for the other hooks on this handle, in the place of the one kept before under this index. There is
/// nothing to give back, and so no function of ours that libpam would call when we are unloaded already.
pub(crate) fn keep_word(pamh: &mut PamHandle, index: usize, word: usize) -> PamResult<()> {
    let data = ptr::without_provenance_mut(word);
    // SAFETY: the reference is a handle libpam gave us, valid for this call, and libpam copies the name. The data is a
    // number in the form of a pointer, which nobody follows: libpam only hands it to the function that gives it back, and
    // there is none.
    let code = unsafe { pam_set_data(pamh, name_of_word(index).as_ptr().cast(), data, None) };
    understood(code)
}

/// The number kept under this index.
pub(crate) fn word(pamh: &PamHandle, index: usize) -> Option<usize> {
    let mut data = ptr::null();
    // SAFETY: the reference is a handle libpam gave us, valid for this call, the name is a string, and there is room for
    // the pointer, which is never followed.
    let code = unsafe { pam_get_data(pamh, name_of_word(index).as_ptr().cast(), &raw mut data) };
    understood(code).ok().map(|()| data.addr())
}

fn understood(code: c_int) -> PamResult<()> {
    match PamResultCode::try_from(code) {
        Ok(PamResultCode::PAM_SUCCESS) => Ok(()),
        Ok(other) => Err(other),
        Err(_) => Err(PamResultCode::PAM_SYSTEM_ERR),
    }
}

/// Overwrites it with zeroes, by a call that no compiler leaves out, and faster than one byte after the other.
pub(crate) fn wipe(bytes: &mut [u8]) {
    // SAFETY: the slice is ours to write to from end to end, and any byte may be zero.
    unsafe { libc::explicit_bzero(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// The system's memory, wiped as it is given back: a secret passes through buffers that are not ours to wipe, those of the
/// QR code's library and of the messages to the host among them.
struct Wiped;

#[global_allocator]
static MEMORY: Wiped = Wiped;

// SAFETY: everything is the system's allocator's, which keeps the contract; a block is written to only while it is still
// allocated, and no further than it goes. A block that grows or shrinks is a new one (the default `realloc`), so that the
// old one is wiped too.
unsafe impl GlobalAlloc for Wiped {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is allocated and has this size; it is the caller's to give back, so nobody reads it any more.
        unsafe {
            libc::explicit_bzero(block.cast(), layout.size());
            System.dealloc(block, layout);
        }
    }
}
