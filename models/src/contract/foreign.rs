//! Files that are given as a model or as rows and are something else: what they are, by their first bytes, and what to
//! do with them. Without this the walk refuses their first byte, and "export it again" does not help who has exported
//! well and then compressed, or has never downloaded the file itself.

use crate::Refusal;
use crate::refusal::shown;

/// What a file is, when it is none of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// What it is, such as "a gzip file".
    pub what: String,
    /// What makes a model of it.
    pub fix: &'static str,
    /// Whether the fix is to take out, fetch or restore the file that was meant, whatever it holds.
    pub is_detour: bool,
}

impl From<Foreign> for Refusal {
    fn from(Foreign { what, fix, .. }: Foreign) -> Self {
        Self::NotAModel { got: what, fix }
    }
}

struct Format {
    what: &'static str,
    fix: &'static str,
    is_detour: bool,
    /// Whether a file is of this format, by its bytes, and by the same without byte-order mark and leading blanks.
    is_it: fn(&[u8], &[u8]) -> bool,
}

const fn detour(what: &'static str, fix: &'static str, is_it: fn(&[u8], &[u8]) -> bool) -> Format {
    Format { what, fix, is_detour: true, is_it }
}

const fn other(what: &'static str, fix: &'static str, is_it: fn(&[u8], &[u8]) -> bool) -> Format {
    Format { what, fix, is_detour: false, is_it }
}

const XGBOOST: &str = "load it with XGBRegressor().load_model(FILE) and export it with onnxmltools.convert_xgboost";
const LIGHTGBM: &str = "load it with lightgbm.Booster(model_file=FILE) and export it with onnxmltools.convert_lightgbm";
const PYTHON: &str = "load it where it was trained and export it with skl2onnx.to_onnx, onnxmltools.convert_xgboost or \
                      onnxmltools.convert_lightgbm";
const NET: &str = "export it to ONNX as a net over sequences, or train a tree model (XGBoost, LightGBM, scikit-learn); \
                   docs/models.md has the forms";
const DOWNLOAD: &str = "download the file itself (of a Git host: its raw link) with curl --fail --location";
const UNPACK: &str = "unpack it, and give the file inside";

/// The first that fits is it.
const FORMATS: &[Format] = &[
    detour("an empty file", "copy or export the file again", |bytes, _| bytes.is_empty()),
    detour("nothing but zero bytes", "copy the file again", |bytes, _| bytes.iter().all(|byte| *byte == 0)),
    detour("a gzip file", "decompress it: gzip -dc < FILE > NEW", |bytes, _| bytes.starts_with(b"\x1f\x8b")),
    detour("a Zstandard file", "decompress it: zstd -dc < FILE > NEW", |b, _| b.starts_with(b"\x28\xb5\x2f\xfd")),
    detour("an xz file", "decompress it: xz -dc < FILE > NEW", |bytes, _| bytes.starts_with(b"\xfd7zXZ\0")),
    detour("a bzip2 file", "decompress it: bzip2 -dc < FILE > NEW", |b, _| {
        b.starts_with(b"BZh") && b.get(4..10) == Some(b"1AY&SY")
    }),
    detour("an LZ4 file", "decompress it: lz4 -dc < FILE > NEW", |bytes, _| bytes.starts_with(b"\x04\x22\x4d\x18")),
    detour("a 7z archive", UNPACK, |bytes, _| bytes.starts_with(b"7z\xbc\xaf\x27\x1c")),
    detour("a tar archive", "unpack it (tar -xf FILE), and give the file inside", |bytes, _| {
        bytes.get(257..262) == Some(b"ustar") && bytes[0] != ONNX_START
    }),
    other("a PyTorch file (torch.save)", NET, |bytes, _| {
        first_in_zip(bytes).is_some_and(|name| name.ends_with(b"/data.pkl") || name.ends_with(b"/.format_version"))
            || bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
    }),
    other("a NumPy archive (.npz)", PYTHON, |b, _| first_in_zip(b).is_some_and(|name| name.ends_with(b".npy"))),
    other("a Keras file", NET, |bytes, _| {
        first_in_zip(bytes).is_some_and(|name| name == b"metadata.json" || name == b"config.json")
    }),
    other("a skops file", PYTHON, |bytes, _| first_in_zip(bytes) == Some(b"schema.json")),
    other("an Office document (such as .xlsx)", "export it as CSV", |bytes, _| {
        first_in_zip(bytes) == Some(b"[Content_Types].xml")
    }),
    detour("a ZIP archive", "unpack it (unzip FILE), and give the file inside", |bytes, _| {
        bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
    }),
    other("an XGBoost model in UBJSON", XGBOOST, |bytes, _| {
        bytes.starts_with(b"{")
            && bytes[..bytes.len().min(64)].contains(&0)
            && has(&bytes[..bytes.len().min(64)], "learner")
    }),
    other("an XGBoost model in its old binary format", XGBOOST, |b, _| b.starts_with(b"binf") && is_binary(b)),
    other(
        "a CatBoost model",
        "load it with CatBoost().load_model(FILE) and save it with save_model(NEW, format=\"onnx\")",
        |b, _| b.starts_with(b"CBM1") && is_binary(b),
    ),
    other("a Python pickle (pickle, joblib)", PYTHON, |bytes, _| is_pickle(bytes)),
    other("a compressed joblib file", PYTHON, |bytes, _| {
        (matches!(bytes, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]) && is_binary(bytes))
            || bytes.starts_with(b"ZF0x")
            || bytes.starts_with(b"\x5d\0\0")
    }),
    other("a safetensors file, weights without the computation", NET, |bytes, _| is_safetensors(bytes)),
    other("an HDF5 file (such as Keras .h5)", NET, |bytes, _| bytes.starts_with(b"\x89HDF\r\n\x1a\n")),
    other("a TensorFlow Lite model", NET, |bytes, _| bytes.get(4..8) == Some(b"TFL3") && bytes[0] != ONNX_START),
    other("a model in onnxruntime's own format (.ort)", "give the .onnx file that it was made from", |bytes, _| {
        bytes.get(4..8) == Some(b"ORTM") && bytes[0] != ONNX_START
    }),
    other("a GGUF language model", NET, |bytes, _| bytes.starts_with(b"GGUF") && is_binary(bytes)),
    other("a Parquet file", "give the model here, and rows as --input", |bytes, _| bytes.starts_with(b"PAR1")),
    other("a NumPy array (.npy)", PYTHON, |bytes, _| bytes.starts_with(b"\x93NUMPY")),
    detour(
        "a Git LFS pointer, which stands for the file in a clone without its contents",
        "git lfs pull",
        |_, text| {
            text.starts_with(b"version https://git-lfs.github.com/")
                || text.starts_with(b"version https://hawser.github.com/")
        },
    ),
    detour(
        "a git-annex pointer, which stands for the file in a clone without its contents",
        "git annex get FILE",
        |_, text| text.starts_with(b"/annex/objects/") || (text.len() < 1_000 && has(text, ".git/annex/objects/")),
    ),
    other("a PMML document", PYTHON, |_, text| text.starts_with(b"<") && has(&text[..text.len().min(2_000)], "<PMML")),
    detour("an HTML page", DOWNLOAD, |_, text| {
        ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| starts_with_any_case(text, tag))
    }),
    detour("an XML document, which is how some stores answer for a file that is not there", DOWNLOAD, |_, text| {
        starts_with_any_case(text, "<?xml") || text.starts_with(b"<Error>")
    }),
    other("an XGBoost model in JSON", XGBOOST, |_, text| is_json(text) && has(text, "\"gradient_booster\"")),
    other("a LightGBM model in JSON", LIGHTGBM_JSON, |_, text| is_json(text) && has(text, "\"tree_info\"")),
    other("a CatBoost model in JSON", "save it with save_model(NEW, format=\"onnx\")", |_, text| {
        is_json(text) && (has(text, "\"oblivious_trees\"") || has(text, "\"features_info\""))
    }),
    other(
        "an ONNX model in JSON",
        "write it in binary: onnx.save(onnx.load(FILE, format=\"json\"), NEW)",
        |_, text| {
            is_json(text) && (["\"ir_version\"", "\"irVersion\"", "\"opset_import\""].iter().any(|key| has(text, key)))
        },
    ),
    other(
        "an ONNX model as text",
        "write it in binary: onnx.save(onnx.load(FILE, format=\"textproto\"), NEW)",
        |_, text| text.starts_with(b"ir_version:"),
    ),
    other(
        "an ONNX model as text",
        "write it in binary: onnx.save(onnx.load(FILE, format=\"onnxtxt\"), NEW)",
        |_, text| text.starts_with(b"<") && has(&text[..text.len().min(200)], "ir_version:"),
    ),
    other(
        "an XGBoost dump, which has not all of the model",
        "export the model itself with onnxmltools.convert_xgboost",
        |_, text| {
            text.starts_with(b"booster[") || (text.starts_with(b"[") && has(&text[..text.len().min(200)], "\"nodeid\""))
        },
    ),
    other("a LightGBM model in its own text format", LIGHTGBM, |_, text| {
        text.starts_with(b"tree\n") || text.starts_with(b"tree\r\n")
    }),
    detour("base64 text of a file", "decode it: base64 -d < FILE > NEW", |_, text| is_base64(text)),
    other("a JSON document", DOWNLOAD, |_, text| is_json(text)),
];

const LIGHTGBM_JSON: &str = "keep it with Booster.save_model or as a pickle instead, and export it with \
                             onnxmltools.convert_lightgbm";

/// What an ONNX file begins with, as every writer writes it: the key of `ir_version`.
const ONNX_START: u8 = 0x08;

/// What the file is, when its bytes say that it is no ONNX model.
pub fn recognise(bytes: &[u8]) -> Option<Foreign> {
    known(bytes).or_else(|| plain_text(without_blanks(bytes)))
}

/// What the file is, when its format is in the table; text of no known kind is not.
pub fn known(bytes: &[u8]) -> Option<Foreign> {
    let text = without_blanks(bytes);
    let format = FORMATS.iter().find(|format| (format.is_it)(bytes, text))?;
    Some(Foreign { what: format.what.into(), fix: format.fix, is_detour: format.is_detour })
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

/// Text of no known kind. An ONNX file has bytes below the blank near its beginning: numbers of fields, lengths.
fn plain_text(text: &[u8]) -> Option<Foreign> {
    let head = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let head: String = head.chars().take(400).collect();
    let is_text = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
    if head.len() < text.len().min(200) || !head.chars().all(is_text) {
        return None;
    }
    let first = head.lines().next().unwrap_or_default();
    let what = format!("text that begins with \"{}\"", shown(&first.chars().take(40).collect::<String>()));
    Some(Foreign { what, fix: "give the path of the ONNX file", is_detour: false })
}

/// Whether it begins with more than letters: names of columns may begin as some formats do.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(64).any(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace())
}

fn is_json(text: &[u8]) -> bool {
    matches!(text, [b'{', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')))
        || matches!(text, [b'[', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'"' | b'{' | b'[' | b']')))
}

/// Protocols 2 to 5 say so; 0 and 1 are known by the classes that they rebuild.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) || bytes.starts_with(b"ccopy_reg\n") || bytes.starts_with(b"ccopyreg\n")
}

/// A length of eight bytes, then a JSON object of that length.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.split_first_chunk::<8>().is_some_and(|(length, header)| {
        u64::from_le_bytes(*length) < 100 << 20 && header.starts_with(b"{") && is_json(header)
    })
}

/// What a model or a gzip file becomes in base64 (its first bytes decide the first letters), over at least a line.
fn is_base64(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n' || *byte == b'\r').next().unwrap_or_default();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    (line.starts_with(b"CA") || line.starts_with(b"H4sI")) && line.len() >= 60 && line.iter().all(is_letter)
}

/// The name of the first file in a ZIP archive.
fn first_in_zip(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.strip_prefix(b"PK\x03\x04")?;
    let length = u16::from_le_bytes(*header.get(22..)?.first_chunk()?);
    header.get(26..26 + usize::from(length))
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

fn starts_with_any_case(text: &[u8], start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(first: &str) -> Vec<u8> {
        let length = u8::try_from(first.len()).unwrap();
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend([0; 22]);
        bytes.extend([length, 0, 0, 0]);
        bytes.extend(first.as_bytes());
        bytes.extend([7; 40]);
        bytes
    }

    fn safetensors(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1, 2, 3]].concat()
    }

    #[test]
    fn every_other_kind_of_file_is_called_by_its_name_with_advice_that_fits() {
        let tar = [vec![b'm'; 257], b"ustar\0".to_vec()].concat();
        let base64 = format!("CAgS{}\nAAAA\n", "b3Ax".repeat(18));
        let table: Vec<(Vec<u8>, &str, &str)> = vec![
            (vec![], "an empty file", "again"),
            (vec![0; 50], "zero bytes", "copy the file again"),
            (b"\x1f\x8b\x08\x00rest".to_vec(), "a gzip file", "gzip -dc < FILE > NEW"),
            (b"\x28\xb5\x2f\xfdrest".to_vec(), "Zstandard", "zstd -dc"),
            (b"\xfd7zXZ\0rest".to_vec(), "an xz file", "xz -dc"),
            (b"BZh91AY&SYrest".to_vec(), "a bzip2 file", "bzip2 -dc"),
            (tar, "a tar archive", "tar -xf"),
            (zip("model.onnx"), "a ZIP archive", "unzip"),
            (zip("model/data.pkl"), "a PyTorch file", "train a tree model"),
            (zip("arr_0.npy"), "a NumPy archive", "skl2onnx"),
            (zip("config.json"), "a Keras file", "train a tree model"),
            (b"{L\0\0\0\0\0\0\0\x07learner{".to_vec(), "an XGBoost model in UBJSON", "convert_xgboost"),
            (br#"{"learner":{"gradient_booster":{}}}"#.to_vec(), "an XGBoost model in JSON", "convert_xgboost"),
            (br#" [ { "nodeid": 0, "depth": 0 }]"#.to_vec(), "an XGBoost dump", "convert_xgboost"),
            (b"booster[0]:\n0:[f0<1] yes=1\n".to_vec(), "an XGBoost dump", "convert_xgboost"),
            (b"tree\nversion=v4\nnum_class=1\n".to_vec(), "a LightGBM model", "convert_lightgbm"),
            (br#"{"name":"tree","tree_info":[]}"#.to_vec(), "a LightGBM model in JSON", "convert_lightgbm"),
            (b"CBM1\x10\0\0\0".to_vec(), "a CatBoost model", "format=\"onnx\""),
            (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c".to_vec(), "a Python pickle", "skl2onnx"),
            (b"\x80\x02}q\0.".to_vec(), "a Python pickle", "skl2onnx"),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(), "a PyTorch file", "tree model"),
            (b"\x78\x9c\x01\x02".to_vec(), "joblib", "skl2onnx"),
            (safetensors(r#"{"w":{"dtype":"F32"}}"#), "a safetensors file", "tree model"),
            (b"\x89HDF\r\n\x1a\n\0".to_vec(), "an HDF5 file", "tree model"),
            (b"\x1c\0\0\0TFL3\0".to_vec(), "TensorFlow Lite", "tree model"),
            (b"\x24\0\0\0ORTM\0".to_vec(), "onnxruntime's own format", "give the .onnx file"),
            (b"GGUF\x03\0\0\0".to_vec(), "GGUF", "tree model"),
            (b"PAR1\x15\x04".to_vec(), "a Parquet file", "--input"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(),
                "a Git LFS pointer",
                "git lfs pull",
            ),
            (b"../.git/annex/objects/a/b/c.onnx".to_vec(), "a git-annex pointer", "git annex get"),
            (b"\n\n<!DOCTYPE HTML>\n<html lang=en>".to_vec(), "an HTML page", "curl --fail --location"),
            (b"\xef\xbb\xbf<html>".to_vec(), "an HTML page", "curl --fail --location"),
            (b"<?xml version='1.0'?><Error><Code>NoSuchKey".to_vec(), "an XML document", "curl --fail"),
            (b"<?xml version='1.0'?>\n<PMML version='4.4'>".to_vec(), "PMML", "skl2onnx"),
            (br#"{"message": "Not Found"}"#.to_vec(), "a JSON document", "curl --fail"),
            (b"{\n  \"ir_version\": \"8\"}".to_vec(), "an ONNX model in JSON", "format=\"json\""),
            (b"ir_version: 8\nproducer_name: \"x\"\n".to_vec(), "an ONNX model as text", "textproto"),
            (b"<\n  ir_version: 8,\n".to_vec(), "an ONNX model as text", "onnxtxt"),
            (base64.into_bytes(), "base64 text", "base64 -d"),
            (format!("H4sI{}", "AAAA".repeat(20)).into_bytes(), "base64 text", "base64 -d"),
            (b"f0,f1\n0.5,1.5\n".to_vec(), "text that begins with \"f0,f1\"", "path of the ONNX file"),
            ("naïve\tAufsatz über Bäume".as_bytes().to_vec(), "text that begins with", "path of the ONNX file"),
        ];
        for (bytes, what, fix) in table {
            let refusal = super::super::admit(&bytes).unwrap_err();
            let said = refusal.to_string();
            assert_eq!(refusal.code(), "NotAModel", "{what}: {said}");
            assert!(said.contains(what) && said.contains(fix), "{what}, {fix}: {said}");
            assert!(!refusal.is_contract() && said.contains("expected an ONNX model"), "{said}");
        }
    }

    #[test]
    fn names_of_columns_that_begin_as_a_format_does_are_text() {
        for header in ["x^2,y\n1,2\n", "CBM1,GGUF\n", "GGUF,b\n", "binf,b\n", "tree,b\n", "versions,b\n", "CA,b\n"] {
            assert_eq!(known(header.as_bytes()), None, "{header:?}");
        }
    }

    #[test]
    fn a_large_file_of_another_kind_is_told_its_kind_rather_than_its_size() {
        let mut large = vec![7; super::super::limits::FILE_BYTES + 1];
        assert_eq!(super::super::admit(&large).unwrap_err().code(), "FileTooLarge");
        large[..2].copy_from_slice(b"\x1f\x8b");
        assert_eq!(super::super::admit(&large).unwrap_err().code(), "NotAModel");
    }

    #[test]
    fn no_model_is_taken_for_another_kind_of_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let models: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "onnx")).collect();
        assert!(models.len() > 100);
        for path in models {
            assert_eq!(recognise(&std::fs::read(&path).unwrap()), None, "{}", path.display());
        }
        // Fields come in any order.
        for start in
            [&b"\x12\x07skl2onnx"[..], b"\x3a\x10\x0a\x0e", b"\x42\x04\x0a\x00\x10\x11", b"\x72\x10\x0a\x04kind"]
        {
            assert_eq!(recognise(start), None, "{start:?}");
        }
    }
}
