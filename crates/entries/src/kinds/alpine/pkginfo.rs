//! `.PKGINFO`: lines of `name = value`, read as Rekor v1 reads them, which takes them for an INI file: of names that come again the last
//! value is kept, `#` and `;` cut a value off, and quotes around it go.

use std::collections::BTreeMap;
use std::str::SplitInclusive;

use crate::EntryError;

/// The values by name.
pub(super) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, EntryError> {
    let text = to_text(bytes);
    let mut lines = text.trim_start_matches('\u{feff}').split_inclusive('\n');
    let mut values = BTreeMap::new();
    let mut in_default_section = true;
    let mut unnamed = 0_u64;
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let (name, _comment) = section
                .rsplit_once(']')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| malformed("a section without a name or end", line))?;
            in_default_section = name == "DEFAULT";
            unnamed = 0;
            continue;
        }
        let (name, rest) = read_name(line)?;
        let value = read_value(rest, &mut lines)?;
        let name = match name {
            "" => return Err(malformed("a value without a name", line)),
            "-" => {
                unnamed += 1;
                format!("#{unnamed}")
            }
            name => name.to_owned(),
        };
        if in_default_section {
            values.insert(name, value);
        }
        if values.len() > MAX_NAMES {
            return Err(EntryError::limit(
                ".PKGINFO's list of names",
                values.len(),
                MAX_NAMES,
            ));
        }
    }
    Ok(values)
}

/// Each byte that is not of UTF-8 is a replacement character, as in Go.
fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

fn read_name(line: &str) -> Result<(&str, &str), EntryError> {
    let no_value = || malformed("a line without = or :", line);
    let quote = match line {
        line if line.len() > 6 && line.starts_with(TRIPLE) => TRIPLE,
        line if line.starts_with('"') => "\"",
        line if line.starts_with('`') => "`",
        line => {
            let (name, rest) = line.split_once(['=', ':']).ok_or_else(no_value)?;
            return Ok((name.trim(), rest));
        }
    };
    let quoted = line.strip_prefix(quote).unwrap_or_default();
    let (name, rest) = quoted
        .split_once(quote)
        .ok_or_else(|| malformed("a name without its closing quote", line))?;
    let (_, rest) = rest.split_once(['=', ':']).ok_or_else(no_value)?;
    Ok((name.trim(), rest))
}

fn read_value(rest: &str, lines: &mut SplitInclusive<'_, char>) -> Result<String, EntryError> {
    let line = rest.trim_start();
    let quote = match line {
        line if line.len() > 3 && line.starts_with(TRIPLE) => Some(TRIPLE),
        line if line.starts_with('`') => Some("`"),
        _ => None,
    };
    if let Some(quote) = quote {
        let quoted = line.strip_prefix(quote).unwrap_or_default();
        return read_quoted(quoted, quote, lines);
    }
    let line = line.trim_end();
    if let Some(begin) = line.strip_suffix('\\') {
        return Ok(read_continued(begin, lines));
    }
    let line = line.split(['#', ';']).next().unwrap_or_default().trim();
    let unquoted = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = line.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Ok(unquoted.unwrap_or(line).to_owned())
}

/// A value up to its closing quote, which may be on a later line.
fn read_quoted(
    quoted: &str,
    quote: &str,
    lines: &mut SplitInclusive<'_, char>,
) -> Result<String, EntryError> {
    let mut value = String::new();
    let mut line = quoted;
    loop {
        if let Some((end, _comment)) = line.rsplit_once(quote) {
            value.push_str(end);
            return Ok(value);
        }
        value.push_str(line);
        line = lines
            .next()
            .ok_or_else(|| malformed("a value without its closing quote", quoted))?;
    }
}

/// A value that goes on for as long as its lines end in a backslash.
fn read_continued(begin: &str, lines: &mut SplitInclusive<'_, char>) -> String {
    let mut value = begin.to_owned();
    for line in lines.map(str::trim) {
        match line.strip_suffix('\\') {
            Some(more) => value.push_str(more),
            None => {
                value.push_str(line);
                break;
            }
        }
    }
    value
}

fn malformed(what: &str, line: &str) -> EntryError {
    EntryError::invalid(".PKGINFO", format!("has {what}: {}", line.trim_end()))
}

const TRIPLE: &str = "\"\"\"";

/// abuild writes about twenty. A name of one letter is many times as large once it is in a map.
const MAX_NAMES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap().into_iter().collect()
    }

    fn one(line: &str) -> String {
        let values = read(line);
        assert_eq!(values.len(), 1, "{line}");
        values[0].1.clone()
    }

    #[test]
    fn of_names_that_come_again_the_last_is_kept() {
        let values = read("# by abuild\npkgname = a\ndepend = b\r\ndepend=c\n\n  depend : d");
        let expected = [("depend", "d"), ("pkgname", "a")];
        assert_eq!(
            values,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn values_are_those_of_an_ini_file() {
        for (line, value) in [
            ("a = b c ", "b c"),
            ("a =", ""),
            ("a = b = c", "b = c"),
            ("a = C# bindings", "C"),
            ("a = b ; c", "b"),
            ("a = \"b\"", "b"),
            ("a = 'b'", "b"),
            ("a = 'b' 'c'", "'b' 'c'"),
            ("a = 'it's'", "'it's'"),
            ("a = \"", "\""),
            ("a = `b # c`", "b # c"),
            ("a = `b\nc` # d\n", "b\nc"),
            ("a = \"\"\"b\n c\"\"\"\n", "b\n c"),
            ("a = b \\\n c \\\n d\n", "b c d"),
            ("a = b \\\n\n", "b "),
            ("a = b \\", "b "),
            ("\"a = b\" = c", "c"),
            ("\u{feff}a = b", "b"),
            ("\"\"\"a\"\"\" = b", "b"),
        ] {
            assert_eq!(one(line), value, "{line:?}");
        }
        assert_eq!(read("\"a = b\" = c")[0].0, "a = b");
        assert_eq!(read("- = b\n- = c")[1], ("#2".to_owned(), "c".to_owned()));
    }

    #[test]
    fn only_what_is_in_no_section_counts() {
        assert_eq!(one("a = b\n[x]\na = c\nd = e\n"), "b");
        assert_eq!(one("a = b\n[x]\na = c\n[DEFAULT] ; again\na = d\n"), "d");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced_one_by_one() {
        let values = parse(b"a = \xe2\x82x\xff").unwrap();
        assert_eq!(values["a"], "\u{fffd}\u{fffd}x\u{fffd}");
    }

    #[test]
    fn names_are_counted_once_each() {
        let lines =
            |names: usize| -> String { (0..2 * names).map(|n| format!("{}=a\n", n / 2)).collect() };
        assert_eq!(parse(lines(1024).as_bytes()).unwrap().len(), 1024);
        assert_eq!(
            parse(lines(1025).as_bytes()).unwrap_err().to_string(),
            ".PKGINFO's list of names has 1025, expected at most 1024"
        );
    }

    #[test]
    fn what_is_no_ini_file_is_refused() {
        for (text, error) in [
            ("a", ".PKGINFO: has a line without = or :: a"),
            ("= b", ".PKGINFO: has a value without a name: = b"),
            ("[a", ".PKGINFO: has a section without a name or end: [a"),
            ("[]", ".PKGINFO: has a section without a name or end: []"),
            (
                "`a = b",
                ".PKGINFO: has a name without its closing quote: `a = b",
            ),
            (
                "a = `b\n\nc",
                ".PKGINFO: has a value without its closing quote: b",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), error);
        }
    }
}
