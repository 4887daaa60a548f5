//! What a file is, told by its bytes and not by its name, and its SHA-256, worked out as the bytes go by.
//!
//! The signatures are written out: the crates that know hundreds of types index into what strangers send, and one panic
//! ends the instance for every room of the isolate.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// So many bytes from the beginning decide over all types but text, which every byte can refute: 8 KiB.
pub const HEAD: usize = 8 << 10;

/// What a file is, as far as its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Word's.
    Docx,
    /// A picture.
    Gif,
    /// A page.
    Html,
    /// A picture.
    Jpeg,
    /// OpenDocument's presentations.
    Odp,
    /// OpenDocument's tables.
    Ods,
    /// OpenDocument's texts.
    Odt,
    /// An office's, whose parts come too late to say of which program.
    Office,
    /// Portable Document Format.
    Pdf,
    /// A picture.
    Png,
    /// PowerPoint's.
    Pptx,
    /// A picture that can hold programs.
    Svg,
    /// Bytes without control characters: tables of public data still come in alphabets older than UTF-8.
    Text,
    /// None of these.
    Unknown,
    /// A picture.
    Webp,
    /// Excel's.
    Xlsx,
    /// Markup of some other kind.
    Xml,
    /// An archive of anything.
    Zip,
}

/// What is only text, by its media type and the end of its name.
const TEXTS: [(&str, &str); 3] = [("application/json", ".json"), ("text/csv", ".csv"), ("text/plain", ".txt")];

/// The types that can be told from the bytes.
const TOLD: [Kind; 16] = [
    Kind::Pdf,
    Kind::Png,
    Kind::Jpeg,
    Kind::Gif,
    Kind::Webp,
    Kind::Zip,
    Kind::Docx,
    Kind::Xlsx,
    Kind::Pptx,
    Kind::Odt,
    Kind::Ods,
    Kind::Odp,
    Kind::Html,
    Kind::Svg,
    Kind::Xml,
    Kind::Text,
];

/// What the first bytes are of what.
const SIGNATURES: [(&[u8], Kind); 6] = [
    (b"%PDF-", Kind::Pdf),
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"GIF87a", Kind::Gif),
    (b"GIF89a", Kind::Gif),
    (b"PK\x05\x06", Kind::Zip),
];

/// What markup begins with, in small letters.
const MARKUP: [(&str, Kind); 12] = [
    ("<!doctype html", Kind::Html),
    ("<html", Kind::Html),
    ("<head", Kind::Html),
    ("<body", Kind::Html),
    ("<script", Kind::Html),
    ("<iframe", Kind::Html),
    ("<style", Kind::Html),
    ("<title", Kind::Html),
    ("<!--", Kind::Html),
    ("<svg", Kind::Svg),
    ("<!doctype svg", Kind::Svg),
    ("<?xml", Kind::Xml),
];

/// The beginning of an entry in a ZIP archive, and how far behind it the entry's name stands.
const ENTRY: (&[u8], usize) = (b"PK\x03\x04", 30);

/// What the names of an archive's entries begin with.
const ENTRIES: [(&[u8], Kind); 10] = [
    (b"mimetypeapplication/vnd.oasis.opendocument.presentation", Kind::Odp),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", Kind::Ods),
    (b"mimetypeapplication/vnd.oasis.opendocument.text", Kind::Odt),
    (b"mimetype", Kind::Unknown),
    (b"ppt/", Kind::Pptx),
    (b"word/", Kind::Docx),
    (b"xl/", Kind::Xlsx),
    (b"META-INF/MANIFEST.MF", Kind::Unknown),
    (b"[Content_Types].xml", Kind::Office),
    (b"_rels/", Kind::Office),
];

impl Kind {
    /// What begins with these bytes, and may go on.
    pub fn of(head: &[u8]) -> Self {
        let head = head.get(..HEAD).unwrap_or(head);
        let known = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, kind)| *kind);
        match known {
            Some(kind) => kind,
            None if head.starts_with(ENTRY.0) => archive(head),
            None if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") => Self::Webp,
            None if is_legible(head) => text(head),
            None => Self::Unknown,
        }
    }

    /// Its media type, if there is one for all files of it.
    pub const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Docx => Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            Self::Gif => Some("image/gif"),
            Self::Html => Some("text/html"),
            Self::Jpeg => Some("image/jpeg"),
            Self::Odp => Some("application/vnd.oasis.opendocument.presentation"),
            Self::Ods => Some("application/vnd.oasis.opendocument.spreadsheet"),
            Self::Odt => Some("application/vnd.oasis.opendocument.text"),
            Self::Pdf => Some("application/pdf"),
            Self::Png => Some("image/png"),
            Self::Pptx => Some("application/vnd.openxmlformats-officedocument.presentationml.presentation"),
            Self::Svg => Some("image/svg+xml"),
            Self::Webp => Some("image/webp"),
            Self::Xlsx => Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            Self::Xml => Some("application/xml"),
            Self::Zip => Some("application/zip"),
            Self::Office | Self::Text | Self::Unknown => None,
        }
    }

    /// The media type of a file of this kind, of that name, which its sender takes for `announced`; if that can be.
    pub fn settle(self, announced: &str, name: &str) -> Option<String> {
        let announced = announced_type(announced, name);
        let told = self.media_type();
        if self == Self::Text {
            is_text(&announced).then_some(announced)
        } else if self == Self::Office {
            office(&announced)
        } else if self.is_zip() && announced == "application/zip" {
            Some(announced)
        } else {
            told.filter(|told| announced.is_empty() || announced == *told).map(str::to_owned)
        }
    }

    /// Whether it is an archive, too.
    const fn is_zip(self) -> bool {
        matches!(self, Self::Docx | Self::Odp | Self::Ods | Self::Odt | Self::Pptx | Self::Xlsx | Self::Zip)
    }

    /// Whether it is text, too.
    const fn is_textual(self) -> bool {
        matches!(self, Self::Html | Self::Svg | Self::Text | Self::Xml)
    }
}

/// Whether files of that media type can be told from others.
pub fn is_known(media_type: &str) -> bool {
    is_text(media_type) || TOLD.iter().any(|kind| kind.media_type() == Some(media_type))
}

/// The media type that a sender means: without parameters, under its one name. It may be none.
pub fn announced_type(announced: &str, name: &str) -> String {
    let bare = announced.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let ending = || {
        let name = name.to_ascii_lowercase();
        TEXTS.iter().find(|(_, ending)| name.ends_with(ending)).map(|(told, _)| *told)
    };
    let meant = match bare.as_str() {
        "" | "application/octet-stream" => ending().unwrap_or_default(),
        "application/vnd.ms-excel" if ending() == Some("text/csv") => "text/csv",
        "application/csv" | "text/x-csv" => "text/csv",
        "application/x-zip-compressed" | "application/x-zip" => "application/zip",
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "text/json" => "application/json",
        "text/xml" => "application/xml",
        other => other,
    };
    meant.to_owned()
}

fn is_text(media_type: &str) -> bool {
    TEXTS.iter().any(|(told, _)| *told == media_type)
        || (media_type.starts_with("text/") && !matches!(media_type, "text/html" | "text/xml"))
}

/// An office's file is what its sender says, if that is an office's too.
fn office(announced: &str) -> Option<String> {
    let all = [Kind::Docx, Kind::Xlsx, Kind::Pptx, Kind::Zip].map(Kind::media_type);
    match announced {
        "" => Kind::Zip.media_type().map(str::to_owned),
        announced => all.contains(&Some(announced)).then(|| announced.to_owned()),
    }
}

/// What an archive holds, by the names at its beginning.
fn archive(head: &[u8]) -> Kind {
    let (mark, behind) = ENTRY;
    let places = head.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
    let names = places.filter_map(|(place, _)| head.get(place.checked_add(behind)?..));
    let known = |name: &[u8]| ENTRIES.iter().position(|(start, _)| name.starts_with(start));
    let first = names.filter_map(known).min();
    first.and_then(|place| ENTRIES.get(place)).map_or(Kind::Zip, |(_, kind)| *kind)
}

/// What a text is, by its beginning.
fn text(head: &[u8]) -> Kind {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let start = head.trim_start_matches('\u{feff}').trim_start();
    let markup = MARKUP.iter().find(|(tag, _)| start.starts_with(tag)).map(|(_, kind)| *kind);
    match markup {
        Some(Kind::Html | Kind::Xml) if head.contains("<svg") => Kind::Svg,
        Some(Kind::Xml) if head.contains("<html") => Kind::Html,
        Some(kind) => kind,
        None => Kind::Text,
    }
}

/// Whether bytes can be of a text, in UTF-8 or an older alphabet: no control characters, but tabs, line ends and page ends.
fn is_legible(bytes: &[u8]) -> bool {
    !bytes.iter().any(is_control)
}

const fn is_control(byte: &u8) -> bool {
    matches!(*byte, 0..=8 | 11 | 14..=31 | 127)
}

/// What is known of a file once all of it has gone by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
}

/// Looks at a file as it goes by.
#[derive(Debug, Default)]
pub struct Inspection {
    head: Vec<u8>,
    illegible: bool,
    digest: Sha256,
    size: u64,
}

impl Inspection {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(missing));
        self.illegible |= !is_legible(bytes);
        self.digest.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
    }

    /// That was all.
    pub fn finish(self) -> Seen {
        let kind = Kind::of(&self.head);
        let kind = if kind.is_textual() && self.illegible { Kind::Unknown } else { kind };
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Seen { kind, sha256, size: self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    const ODT: &str = "application/vnd.oasis.opendocument.text";

    /// An archive with entries of these names, nothing in them.
    fn zip(names: &[&str]) -> Vec<u8> {
        let entry = |name: &&str| [b"PK\x03\x04".as_slice(), &[0; 26], name.as_bytes(), b"some bytes"].concat();
        names.iter().flat_map(entry).collect()
    }

    #[test]
    fn a_file_is_what_its_bytes_say() {
        for (bytes, kind) in [
            (b"%PDF-1.7\n\xe2\xe3".to_vec(), Kind::Pdf),
            (b"\x89PNG\r\n\x1a\n\0\0".to_vec(), Kind::Png),
            (b"\xff\xd8\xff\xe0\0".to_vec(), Kind::Jpeg),
            (b"GIF89a\x01\0".to_vec(), Kind::Gif),
            (b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(), Kind::Webp),
            (b"RIFF\x10\0\0\0WAVEfmt ".to_vec(), Kind::Unknown),
            (zip(&["a.txt", "b/"]), Kind::Zip),
            (b"PK\x05\x06".to_vec(), Kind::Zip),
            (zip(&["[Content_Types].xml", "_rels/.rels", "word/document.xml"]), Kind::Docx),
            (zip(&["xl/workbook.xml", "[Content_Types].xml"]), Kind::Xlsx),
            (zip(&["_rels/.rels", "docProps/app.xml", "ppt/presentation.xml"]), Kind::Pptx),
            (zip(&["[Content_Types].xml"]), Kind::Office),
            (zip(&["mimetypeapplication/vnd.oasis.opendocument.text"]), Kind::Odt),
            (zip(&["mimetypeapplication/vnd.oasis.opendocument.spreadsheet"]), Kind::Ods),
            (zip(&["mimetypeapplication/epub+zip"]), Kind::Unknown),
            (zip(&["META-INF/MANIFEST.MF", "a.class"]), Kind::Unknown),
            (b"MZ\x90\0\x03".to_vec(), Kind::Unknown),
            (b"\x7fELF".to_vec(), Kind::Unknown),
            ("ação\tvalor\r\n1;2\n".into(), Kind::Text),
            ("\u{feff}a;b".into(), Kind::Text),
            (b"a\xe7\xe3o".to_vec(), Kind::Text),
            (b"".to_vec(), Kind::Text),
            (b"  <!DOCTYPE html><p>".to_vec(), Kind::Html),
            (b"<script>alert(1)</script>".to_vec(), Kind::Html),
            (b"<?xml version='1.0'?><svg>".to_vec(), Kind::Svg),
            (b"<!-- x --><svg onload=''>".to_vec(), Kind::Svg),
            (b"<svg xmlns=''>".to_vec(), Kind::Svg),
            (b"<?xml version='1.0'?><nfe>".to_vec(), Kind::Xml),
        ] {
            assert_eq!(Kind::of(&bytes), kind, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_a_sender_says_holds_where_the_bytes_allow_it() {
        for (kind, announced, name, settled) in [
            (Kind::Pdf, "application/pdf", "a", Some("application/pdf")),
            (Kind::Pdf, "", "a.exe", Some("application/pdf")),
            (Kind::Pdf, "Application/PDF; x=1", "a", Some("application/pdf")),
            (Kind::Pdf, "image/png", "a.png", None),
            (Kind::Png, "application/pdf", "a.pdf", None),
            (Kind::Jpeg, "image/jpg", "a.jpg", Some("image/jpeg")),
            (Kind::Zip, "application/x-zip-compressed", "a.zip", Some("application/zip")),
            (Kind::Zip, DOCX, "a.docx", None),
            (Kind::Docx, DOCX, "a.docx", Some(DOCX)),
            (Kind::Docx, "application/zip", "a.zip", Some("application/zip")),
            (Kind::Docx, XLSX, "a.xlsx", None),
            (Kind::Office, XLSX, "a.xlsx", Some(XLSX)),
            (Kind::Office, ODT, "a.odt", None),
            (Kind::Office, "", "a", Some("application/zip")),
            (Kind::Text, "text/plain; charset=utf-8", "a", Some("text/plain")),
            (Kind::Text, "application/vnd.ms-excel", "a.CSV", Some("text/csv")),
            (Kind::Text, "application/vnd.ms-excel", "a.xls", None),
            (Kind::Text, "", "a.json", Some("application/json")),
            (Kind::Text, "application/octet-stream", "a.txt", Some("text/plain")),
            (Kind::Text, "", "a.sh", None),
            (Kind::Text, "text/html", "a.html", None),
            (Kind::Text, "image/svg+xml", "a.svg", None),
            (Kind::Text, "application/pdf", "a.pdf", None),
            (Kind::Html, "text/plain", "a.txt", None),
            (Kind::Svg, "text/plain", "a.txt", None),
            (Kind::Html, "text/html", "a", Some("text/html")),
            (Kind::Unknown, "application/pdf", "a.pdf", None),
            (Kind::Unknown, "", "a", None),
        ] {
            assert_eq!(kind.settle(announced, name).as_deref(), settled, "{kind:?} {announced} {name}");
        }
    }

    fn inspect(parts: &[&[u8]]) -> Seen {
        let mut inspection = Inspection::default();
        parts.iter().for_each(|part| inspection.push(part));
        inspection.finish()
    }

    #[test]
    fn a_text_is_one_to_its_last_byte_however_it_is_cut() {
        let text = "ação e reação, €".repeat(2_000);
        let bytes = text.as_bytes();
        for at in [1, 2, 3, 7, HEAD - 1, HEAD, HEAD + 1, bytes.len() - 1] {
            assert_eq!(inspect(&[&bytes[..at], &bytes[at..]]).kind, Kind::Text, "{at}");
        }
        assert_eq!(inspect(&[b"munic\xedpio;valor\r\n", b"S\xe3o Paulo;7\r\n"]).kind, Kind::Text, "Latin-1");
        assert_eq!(inspect(&[bytes, b"\0"]).kind, Kind::Unknown);
        assert_eq!(inspect(&[b"%PDF-1.4", b"\0\xff"]).kind, Kind::Pdf, "only text is text throughout");
    }

    #[test]
    fn the_hash_is_that_of_all_bytes_together() {
        let seen = inspect(&[b"a", b"", b"bc"]);
        assert_eq!(seen.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(seen.size, 3);
    }
}
