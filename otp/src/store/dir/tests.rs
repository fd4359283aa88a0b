//! Directories of a disk: what is opened, refused, written, wiped and cleared away.

use super::change::{HALF_MADE, TURN};
use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering;

/// A directory that is root's alone, in the world that tests/as-root makes.
fn place() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::Builder::new().tempdir_in("/run").unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let dir = Dir::open(temp.path(), Privacy::RootOnly).unwrap();
    (temp, dir)
}

fn all_in(temp: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(temp.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_file_is_read_up_to_the_limit_and_not_beyond() {
    let (_temp, dir) = place();
    let read = |name| dir.read(name, 10, Privacy::RootOnly);
    for length in [0, 1, 9, 10] {
        let content = vec![7; length];
        assert!(dir.write("file", &content, true).unwrap());
        assert_eq!(*read("file").unwrap().unwrap(), content, "{length}");
    }
    dir.write("file", &[7; 11], true).unwrap();
    let error = read("file").err().unwrap().to_string();
    assert!(error.contains("larger than 10 bytes"), "{error}");
    assert!(read("none").unwrap().is_none());
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_tried_for_ever() {
    let (temp, _dir) = place();
    let no_file = File::open(temp.path()).unwrap();
    let error = read_from_start(&no_file, &mut [0; 3], 2).err().unwrap();
    assert_eq!(error.raw_os_error(), Some(Errno::EISDIR as i32));
}

#[test]
fn a_file_is_put_in_place_whole_and_taken_from_nobody() {
    let (temp, dir) = place();
    assert!(dir.write("file", b"one", false).unwrap());
    assert!(!dir.write("file", b"two", false).unwrap());
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"one");
    assert!(dir.write("file", b"three", true).unwrap());
    let made = fs::metadata(temp.path().join("file")).unwrap();
    assert_eq!((made.len(), made.mode() & 0o7777), (5, 0o600));
    assert_eq!(all_in(&temp), ["file"], "nothing half-made is left");
    fs::create_dir(temp.path().join("taken")).unwrap();
    assert!(dir.write("taken", b"four", true).is_err());
    assert_eq!(all_in(&temp), ["file", "taken"]);
}

#[test]
fn a_half_made_file_of_another_process_is_not_filled() {
    let (temp, dir) = place();
    let turn = TURN.load(Ordering::Relaxed);
    let process = std::process::id();
    // Other tests take turns too, so a few names are taken.
    for turn in turn..turn + 200 {
        let name = format!("{HALF_MADE}file.{process}.{turn}");
        fs::write(temp.path().join(name), "theirs").unwrap();
    }
    assert!(dir.write("file", b"ours", false).unwrap());
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"ours");
    let left = all_in(&temp);
    assert_eq!(left.len(), 201);
    let half_made = left.iter().filter(|name| name.starts_with(HALF_MADE));
    for name in half_made {
        assert_eq!(fs::read(temp.path().join(name)).unwrap(), b"theirs");
    }
}

#[test]
fn half_made_files_go_after_an_hour_and_nothing_else_does() {
    let (temp, dir) = place();
    let half_made = temp.path().join(".new-alice.1.2");
    for name in [".new-alice.1.2", ".other", "alice"] {
        fs::write(temp.path().join(name), "").unwrap();
    }
    let made = fs::metadata(&half_made).unwrap().ctime();
    dir.clear_half_made(made + 3600).unwrap();
    assert!(half_made.exists());
    assert_eq!(dir.names().unwrap(), ["alice"]);
    dir.clear_half_made(made + 3601).unwrap();
    assert_eq!(all_in(&temp), [".other", "alice"]);
    dir.clear().unwrap();
    assert_eq!(all_in(&temp), [""; 0]);
}

#[test]
fn what_is_there_is_there_and_what_is_not_is_no_error() {
    let (temp, dir) = place();
    assert!(!dir.has("file").unwrap());
    assert!(!dir.has_file("file", Privacy::RootOnly).unwrap());
    assert!(is_absent(&temp.path().join("file")));
    dir.unlink("file").unwrap();
    dir.remove_sub("sub").unwrap();
    dir.write("file", b"", false).unwrap();
    assert!(dir.has("file").unwrap());
    assert!(dir.has_file("file", Privacy::RootOnly).unwrap());
    assert!(!is_absent(&temp.path().join("file")));
    let file = dir.file("file", Access::Read, Privacy::RootOnly);
    let file = file.unwrap().unwrap();
    let path = dir.path_of("file");
    assert_eq!(path, temp.path().join("file"));
    assert!(still_named(&file, &path).unwrap());
    dir.unlink("file").unwrap();
    assert!(!still_named(&file, &path).unwrap());
    dir.make_sub("sub", Privacy::RootOnly).unwrap();
    assert!(dir.sub("sub", Privacy::RootOnly).unwrap().is_some());
    dir.remove_sub("sub").unwrap();
    assert!(dir.sub("sub", Privacy::RootOnly).unwrap().is_none());
}

#[test]
fn no_link_is_followed_to_a_directory_or_through_one() {
    let (temp, dir) = place();
    dir.make_sub("real", Privacy::RootOnly).unwrap();
    let real = dir.sub("real", Privacy::RootOnly).unwrap().unwrap();
    real.make_sub("below", Privacy::RootOnly).unwrap();
    symlink("real", temp.path().join("link")).unwrap();
    dir.write("file", b"", false).unwrap();
    let why = |opened: Result<(), Error>| opened.err().unwrap().to_string();
    let open = |name: &str| {
        let path = temp.path().join(name);
        let read = Dir::open(&path, Privacy::RootOnly).map(drop);
        let made = Dir::open_or_create(&path, Privacy::RootOnly).map(drop);
        (why(read), why(made))
    };
    for name in ["link", "link/below", "file", "file/below"] {
        let (read, made) = open(name);
        assert!(read.contains("a link, or no directory"), "{name}: {read}");
        assert!(made.contains("a link, or no directory"), "{name}: {made}");
    }
    let sub = dir.sub("link", Privacy::RootOnly).map(drop);
    assert!(why(sub).contains("a link, or no directory"));
    let error = why(dir.has_file("link", Privacy::RootOnly).map(drop));
    assert!(error.contains("it is a symbolic link"), "{error}");
}

#[test]
fn a_way_is_made_private_and_its_end_as_private_as_asked() {
    let (temp, _dir) = place();
    let mode = |name: &str| {
        let made = fs::metadata(temp.path().join(name)).unwrap();
        made.permissions().mode() & 0o7777
    };
    Dir::open_or_create(&temp.path().join("a/b"), Privacy::RootWrites).unwrap();
    Dir::open_or_create(&temp.path().join("c/d"), Privacy::RootOnly).unwrap();
    fs::create_dir(temp.path().join("plain")).unwrap();
    let readable = 0o755 & mode("plain"); // less what the umask takes
    assert_eq!(["a", "c", "c/d"].map(mode), [0o700; 3]);
    assert_eq!(mode("a/b"), readable);
    let missing = Dir::open(&temp.path().join("none"), Privacy::RootOnly);
    assert!(matches!(missing.err(), Some(Error::Missing { .. })));
}

#[test]
fn what_a_crash_left_half_made_is_wiped_as_it_goes() {
    let (temp, dir) = place();
    let name = format!("{HALF_MADE}alice.sms.1.1");
    fs::write(temp.path().join(&name), "code").unwrap();
    fs::set_permissions(temp.path().join(&name), fs::Permissions::from_mode(0o600)).unwrap();
    // Whoever has it open sees what would be found on the disk.
    let left = File::open(temp.path().join(&name)).unwrap();
    dir.clear_half_made(i64::MAX).unwrap();
    assert!(!temp.path().join(&name).exists());
    let mut found = [1; 4];
    left.read_exact_at(&mut found, 0).unwrap();
    assert_eq!(found, [0; 4]);
    // What cannot be opened goes all the same.
    symlink("/nowhere", temp.path().join(&name)).unwrap();
    dir.clear_half_made(i64::MAX).unwrap();
    assert!(fs::symlink_metadata(temp.path().join(&name)).is_err());
}
