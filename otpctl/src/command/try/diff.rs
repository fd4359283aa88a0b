//! A change as `diff -u` shows it. Pure.

/// Lines shown before and after what changed.
const CONTEXT: usize = 3;

/// The difference between two texts of a file, as patch(1) takes it; empty if there is none. `None` for no file.
pub(super) fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let (old, new) = (lines(before), lines(after));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (tail(&old, same), tail(&new, same));
    let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
    let same_end = pairs.take_while(|(a, b)| a == b).count();

    let first = same.saturating_sub(CONTEXT);
    let shown_end = same_end.min(CONTEXT);
    let old_end = old.len().saturating_sub(same_end);
    let new_end = new.len().saturating_sub(same_end);
    let range = |end: usize| {
        let length = end.saturating_add(shown_end).saturating_sub(first);
        // An empty range is told by the line before it.
        let start = if length == 0 {
            first
        } else {
            first.saturating_add(1)
        };
        format!("{start},{length}")
    };
    let name = |text: Option<&str>| text.map_or("/dev/null", |_| path);
    let mut out = format!("--- {}\n+++ {}\n", name(before), name(after));
    out.push_str(&format!("@@ -{} +{} @@\n", range(old_end), range(new_end)));
    put(&mut out, ' ', &old, first, same);
    put(&mut out, '-', &old, same, old_end);
    put(&mut out, '+', &new, same, new_end);
    put(
        &mut out,
        ' ',
        &old,
        old_end,
        old_end.saturating_add(shown_end),
    );
    out
}

/// Lines with their ends, which the last may lack.
fn lines(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_inclusive('\n').collect()
}

fn tail<'a, 'b>(lines: &'a [&'b str], from: usize) -> &'a [&'b str] {
    lines.get(from..).unwrap_or_default()
}

fn put(out: &mut String, mark: char, lines: &[&str], from: usize, to: usize) {
    for line in lines.iter().take(to).skip(from) {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_has_three_lines_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n";
        let after = "1\n2\n3\n4\nnew\n5\n6\n7\n8\n";
        assert_eq!(
            unified("/f", Some(before), Some(after)),
            "--- /f\n+++ /f\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n"
        );
        assert_eq!(unified("/f", Some(before), Some(before)), "");
    }

    #[test]
    fn a_file_that_comes_or_goes_is_named_so() {
        assert_eq!(
            unified("/f", None, Some("a\nb\n")),
            "--- /dev/null\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n"
        );
        assert_eq!(
            unified("/f", Some("a\n"), None),
            "--- /f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n"
        );
    }

    #[test]
    fn a_last_line_without_an_end_is_told() {
        assert_eq!(
            unified("/f", Some("a"), Some("a\nb\n")),
            "--- /f\n+++ /f\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"
        );
    }

    #[test]
    fn repeated_lines_are_counted_once() {
        assert_eq!(
            unified("/f", Some("a\na\n"), Some("a\na\na\n")),
            "--- /f\n+++ /f\n@@ -1,2 +1,3 @@\n a\n a\n+a\n"
        );
    }
}
