//! The two-slot record: a small file that is only ever overwritten in place, and survives a torn write.
//!
//! Two slots take turns, each on a block of its own, with a sequence number and a checksum; the newest whole
//! one counts. A third block notes the newest sequence number known to be durable: a writer that was killed
//! between writing and flushing leaves it behind, and the next one flushes before it overwrites the other
//! slot, which may be the only one on the disk. FILEFORMAT.md has the bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;
use super::dir::{damaged, failed};

const BLOCK: usize = 4096;
const HEADER: usize = 56;
const CHECKED: usize = 24;
/// The most a record can hold, in bytes.
pub(super) const CAPACITY: usize = BLOCK - HEADER;
/// Where the note stands: on the block after the two slots.
const NOTE: usize = 2 * BLOCK;
/// The length of the whole file, from its creation on.
const FILE: usize = 3 * BLOCK;

/// What kind of record a file holds, and the last version of it that is known here.
#[derive(Clone, Copy)]
pub(super) struct Format {
    pub(super) magic: [u8; 8],
    pub(super) version: u32,
}

/// A record that was read, and what its next overwriting has to know.
pub(super) struct Slots {
    pub(super) payload: Vec<u8>,
    sequence: u64,
    newest: usize,
    settled: bool,
}

struct Slot {
    sequence: u64,
    version: u32,
    payload: Vec<u8>,
}

/// The whole file at its creation.
pub(super) fn fresh(format: Format, payload: &[u8]) -> Vec<u8> {
    fresh_after(0, format, payload)
}

/// The same for a record that takes up where another with this sequence number left off.
pub(super) fn fresh_after(before: u64, format: Format, payload: &[u8]) -> Vec<u8> {
    let sequence = before.saturating_add(1);
    let mut content = vec![0; FILE];
    let parts = [(0, slot(format, sequence, payload)), (NOTE, note(sequence))];
    for (at, part) in parts {
        for (to, from) in content.iter_mut().skip(at).zip(part) {
            *to = from;
        }
    }
    content
}

/// Writes what follows a record that was just made after another with the number `before`. Not flushed: until it is, what the
/// record had at its creation counts, and the next writer sees by the note that it has to flush.
pub(super) fn follow_up(
    file: &File,
    before: u64,
    format: Format,
    payload: &[u8],
) -> io::Result<()> {
    let sequence = before.saturating_add(2);
    file.write_all_at(&slot(format, sequence, payload), BLOCK as u64)
}

/// Overwrites a slot and the note with what the file had at its creation, durably: as much work as a change, and none.
pub(super) fn rewrite(file: &File, fresh: &[u8]) -> io::Result<()> {
    let (slot, rest) = fresh.split_at_checked(BLOCK).unwrap_or_default();
    file.write_all_at(slot, 0)?;
    file.sync_data()?;
    let note = rest.get(BLOCK..).unwrap_or_default();
    file.write_all_at(note.get(..8).unwrap_or_default(), NOTE as u64)
}

impl Slots {
    /// Reads the newest whole slot.
    pub(super) fn read(file: &File, format: Format, path: &Path) -> Result<Self, Error> {
        let mut content = vec![0; FILE];
        file.read_exact_at(&mut content, 0)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => damaged(path, "it is too short"),
                _ => failed(path, "read", source),
            })?;
        let whole = [0, 1].map(|index| {
            let at = BLOCK.saturating_mul(index);
            parse(content.get(at..at.saturating_add(BLOCK))?, format)
        });
        let settled = le64(&content, NOTE);
        let newest = match &whole {
            [Some(first), Some(second)] if second.sequence > first.sequence => 1,
            [Some(_), _] => 0,
            [None, Some(_)] => 1,
            [None, None] => return Err(damaged(path, "neither of its two slots is whole")),
        };
        let Some(slot) = whole.into_iter().nth(newest).flatten() else {
            return Err(damaged(path, "neither of its two slots is whole"));
        };
        if slot.version > format.version {
            return Err(Error::Newer {
                path: path.to_path_buf(),
                found: slot.version,
                known: format.version,
            });
        }
        Ok(Self {
            payload: slot.payload,
            sequence: slot.sequence,
            newest,
            settled: settled == slot.sequence,
        })
    }

    /// The number of the newest slot. Of two records of one thing, the one with the higher number counts.
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Lets the next slot be newer than one elsewhere with this number.
    pub(super) fn follow(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// Overwrites the older slot. Durable when this returns; if it fails, what was there still counts.
    pub(super) fn write(
        &mut self,
        file: &File,
        format: Format,
        payload: &[u8],
        path: &Path,
    ) -> Result<(), Error> {
        let fail = |source| failed(path, "write", source);
        if payload.len() > CAPACITY {
            return Err(damaged(path, "there is too much to keep in it"));
        }
        if !self.settled {
            file.sync_data().map_err(fail)?;
        }
        let sequence = self.sequence.saturating_add(1);
        let older = 1_usize.saturating_sub(self.newest);
        let at = u64::try_from(BLOCK.saturating_mul(older)).unwrap_or(0);
        let image = slot(format, sequence, payload);
        if let Err(source) = file
            .write_all_at(&image, at)
            .and_then(|()| file.sync_data())
        {
            // It may be visible without being durable. Void it, so that nobody builds on it; its number is taken.
            self.sequence = sequence;
            let _ = file
                .write_all_at(&[0; BLOCK], at)
                .and_then(|()| file.sync_data());
            return Err(fail(source));
        }
        // Only a hint, so it need not be durable and may fail: without it the next writer flushes once more.
        let _ = file.write_all_at(&note(sequence), NOTE as u64);
        self.sequence = sequence;
        self.newest = older;
        self.settled = true;
        payload.clone_into(&mut self.payload);
        Ok(())
    }
}

fn note(sequence: u64) -> Vec<u8> {
    sequence.to_le_bytes().to_vec()
}

fn slot(format: Format, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut image = Vec::with_capacity(BLOCK);
    image.extend(format.magic);
    image.extend(format.version.to_le_bytes());
    image.extend(length.to_le_bytes());
    image.extend(sequence.to_le_bytes());
    let checksum = checksum(&image, payload);
    image.extend(checksum);
    image.extend(payload);
    image.resize(BLOCK, 0);
    image
}

fn parse(block: &[u8], format: Format) -> Option<Slot> {
    let checked = block.get(..CHECKED)?;
    if checked.get(..8)? != format.magic {
        return None;
    }
    let length = usize::try_from(le32(block, 12)).ok()?;
    let payload = block.get(HEADER..)?.get(..length)?;
    let whole = block.get(CHECKED..HEADER)? == checksum(checked, payload);
    whole.then(|| Slot {
        sequence: le64(block, 16),
        version: le32(block, 8),
        payload: payload.to_vec(),
    })
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(header);
    hash.update(payload);
    hash.finalize().into()
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMAT: Format = Format {
        magic: *b"testtest",
        version: 1,
    };

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut content = vec![0; FILE];
        file.read_exact_at(&mut content, 0).unwrap();
        content
    }

    fn read(file: &File) -> Result<Slots, Error> {
        Slots::read(file, FORMAT, Path::new("record"))
    }

    fn write(file: &File, payload: &[u8]) {
        let mut slots = read(file).unwrap();
        slots
            .write(file, FORMAT, payload, Path::new("record"))
            .unwrap();
    }

    #[test]
    fn the_newest_write_is_what_is_read() {
        let file = file(&fresh(FORMAT, b"one"));
        assert_eq!(read(&file).unwrap().payload, b"one");
        for payload in [&b"two"[..], b"three, longer", b"", &[7; CAPACITY]] {
            write(&file, payload);
            assert_eq!(read(&file).unwrap().payload, payload);
            assert_eq!(content(&file).len(), FILE);
        }
    }

    #[test]
    fn a_record_has_the_bytes_that_fileformat_md_tells() {
        let file = file(&fresh(FORMAT, b"one"));
        write(&file, b"two!");
        let bytes = content(&file);
        assert_eq!(bytes.len(), 12_288);
        assert_eq!(CAPACITY, 4_040);
        for (at, sequence, payload) in [(0, 1_u64, &b"one"[..]), (4_096, 2, b"two!")] {
            let slot = &bytes[at..at + 4_096];
            assert_eq!(slot[..8], *b"testtest");
            assert_eq!(slot[8..12], 1_u32.to_le_bytes(), "version");
            let length = u32::try_from(payload.len()).unwrap();
            assert_eq!(slot[12..16], length.to_le_bytes());
            assert_eq!(slot[16..24], sequence.to_le_bytes());
            let checksum = Sha256::digest([&slot[..24], payload].concat());
            assert_eq!(slot[24..56], *checksum);
            assert_eq!(slot[56..56 + payload.len()], *payload);
            assert!(slot[56 + payload.len()..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(bytes[8_192..8_200], 2_u64.to_le_bytes(), "the note");
        assert!(bytes[8_200..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn numbers_go_on_from_the_highest_and_a_record_may_follow_another() {
        let file = file(&fresh_after(6, FORMAT, b"one"));
        let mut slots = read(&file).unwrap();
        assert_eq!(slots.sequence(), 7);
        assert!(slots.settled, "it was flushed when it was made");
        let path = Path::new("record");
        slots.follow(5);
        slots.write(&file, FORMAT, b"two", path).unwrap();
        assert_eq!(slots.sequence(), 8, "an older one changes nothing");
        slots.follow(20);
        slots.write(&file, FORMAT, b"three", path).unwrap();
        let after = read(&file).unwrap();
        assert_eq!((after.sequence(), slots.sequence()), (21, 21));
        assert_eq!(after.payload, b"three");
    }

    #[test]
    fn a_slot_the_note_does_not_name_may_not_be_on_the_disk_yet() {
        let file = file(&fresh(FORMAT, b"one"));
        write(&file, b"two");
        assert!(read(&file).unwrap().settled);
        file.write_all_at(&note(1), NOTE as u64).unwrap();
        assert!(!read(&file).unwrap().settled, "its writer was killed");
        write(&file, b"three");
        assert!(read(&file).unwrap().settled);
    }

    #[test]
    fn rewriting_puts_back_the_slot_and_the_note_as_they_were_made() {
        let made = fresh(FORMAT, b"one");
        let file = file(&made);
        write(&file, b"two");
        file.write_all_at(&[7; 100], 50).unwrap();
        rewrite(&file, &made).unwrap();
        let bytes = content(&file);
        assert_eq!(bytes[..BLOCK], made[..BLOCK]);
        assert_eq!(bytes[NOTE..], made[NOTE..]);
        assert_eq!(bytes.len(), FILE);
    }

    #[test]
    fn too_much_is_refused_and_changes_nothing() {
        let file = file(&fresh(FORMAT, b"one"));
        let mut slots = read(&file).unwrap();
        let path = Path::new("record");
        assert!(
            slots
                .write(&file, FORMAT, &[7; CAPACITY + 1], path)
                .is_err()
        );
        assert_eq!(read(&file).unwrap().payload, b"one");
    }

    #[test]
    fn a_write_torn_at_any_sector_leaves_the_old_or_the_new() {
        let old = file(&fresh(FORMAT, &[1; 3000]));
        write(&old, &[2; 3000]);
        let before = content(&old);
        write(&old, &[3; 3500]);
        let after = content(&old);
        // Every subset of the eight sectors of the slot that was overwritten.
        for written in 0..256_usize {
            let mut torn = before.clone();
            for sector in (0..8).filter(|sector| written & (1 << sector) != 0) {
                let range = sector * 512..(sector + 1) * 512;
                torn[range.clone()].copy_from_slice(&after[range]);
            }
            let payload = read(&file(&torn)).unwrap().payload;
            let whole = payload == [2; 3000] || payload == [3; 3500];
            assert!(whole, "sectors {written:08b}");
        }
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_by_name() {
        let newer = Format {
            version: 2,
            ..FORMAT
        };
        let error = read(&file(&fresh(newer, b"one"))).err();
        assert!(matches!(error, Some(Error::Newer { found: 2, .. })));
    }

    #[test]
    fn what_is_no_record_is_damaged() {
        for content in [Vec::new(), vec![0; FILE], vec![0xff; FILE], vec![7; 100]] {
            assert!(matches!(read(&file(&content)), Err(Error::Damaged { .. })));
        }
        let foreign = Format {
            magic: *b"otherone",
            ..FORMAT
        };
        let error = read(&file(&fresh(foreign, b"one"))).err();
        assert!(matches!(error, Some(Error::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed_or_means_nothing(at in 0..FILE, flip in 1..=255_u8) {
            let file = file(&fresh(FORMAT, b"one"));
            write(&file, b"two");
            let mut bytes = content(&file);
            bytes[at] ^= flip;
            file.write_all_at(&bytes, 0).unwrap();
            let payload = read(&file).unwrap().payload;
            prop_assert!(payload == b"one" || payload == b"two");
        }
    }
}
