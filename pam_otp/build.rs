//! How the module is linked: for a host that loads it anew at every login (docs/adr/0008-linking.md).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux")
        || env::var("CARGO_CFG_TARGET_ENV").as_deref() != Ok("gnu")
    {
        return;
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
    // Each segment on pages of its own: two that share one cost a fault each. GNU ld does so anyway, and says that it does
    // not know the word.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,separate-loadable-segments");
    // The standard library asks for -lgcc_s; what is found first under that name is the same unwinder, to be linked in.
    let (Some(archive), Some(out)) = (unwinder(), env::var_os("OUT_DIR")) else {
        return;
    };
    let out = PathBuf::from(out);
    if fs::copy(archive, out.join("libgcc_s.a")).is_ok() {
        println!("cargo:rustc-link-search=native={}", out.display());
    }
}

/// The compiler's static unwinder. Without one the module uses the shared one, as any Rust library does.
fn unwinder() -> Option<PathBuf> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let asked = Command::new(linker)
        .arg("-print-file-name=libgcc_eh.a")
        .output()
        .ok()?;
    let path = String::from_utf8(asked.stdout).ok()?;
    let path = Path::new(path.trim());
    path.is_absolute().then(|| path.to_path_buf())
}
