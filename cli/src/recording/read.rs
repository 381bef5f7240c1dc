//! Reading: one row group in memory at a time.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use parquet::{
    basic::Type as Physical,
    column::reader::get_typed_column_reader,
    data_type::{ByteArrayType, DataType, FloatType, Int64Type},
    file::reader::{FileReader as _, RowGroupReader, SerializedFileReader},
};

use super::{KEYS, Origin, RecordingError, Row, failed, file};

type Result<T> = std::result::Result<T, RecordingError>;

/// A recording that was found to be one.
pub(crate) struct Recording {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    origin: Origin,
    /// Positions of tick, unix_ms, monotonic_ns, target, uid.
    keys: [usize; 5],
    floats: Vec<String>,
    positions: Vec<usize>,
}

impl Recording {
    /// Opens a file and checks that it has the columns of a recording.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let reader = SerializedFileReader::new(File::open(path).map_err(file(path))?).map_err(failed(path))?;
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema_descr().columns();
        let position = |name: &str, physical, expected| {
            let found = columns.iter().position(|column| column.name() == name && column.physical_type() == physical);
            found.ok_or_else(|| RecordingError::Column { path: path.to_owned(), column: name.to_owned(), expected })
        };
        let (number, text) = (Physical::INT64, Physical::BYTE_ARRAY);
        let keys = [
            position("tick", number, "INT64")?,
            position("unix_ms", number, "INT64")?,
            position("monotonic_ns", number, "INT64")?,
            position("target", text, "STRING")?,
            position("uid", text, "STRING")?,
        ];
        let floats = columns.iter().enumerate().filter(|(_, column)| column.physical_type() == Physical::FLOAT);
        let (positions, floats) = floats.map(|(position, column)| (position, column.name().to_owned())).unzip();
        let pairs = metadata.key_value_metadata();
        let value = |key: &'static str| {
            let found = pairs.into_iter().flatten().find(|pair| pair.key == key);
            let absent = || RecordingError::Metadata { path: path.to_owned(), key };
            found.and_then(|pair| pair.value.clone()).ok_or_else(absent)
        };
        let origin = Origin { schema_hash: value(KEYS[0])?, kernel: value(KEYS[1])?, agent_version: value(KEYS[2])? };
        Ok(Self { path: path.to_owned(), reader, origin, keys, floats, positions })
    }

    /// Where the recording comes from.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Names of the float columns, in the order of [`Row::floats`].
    pub(crate) fn floats(&self) -> &[String] {
        &self.floats
    }

    /// The rows in the order of the file; ends after the first error.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row>> + '_ {
        let mut failed = false;
        let groups = (0..self.reader.num_row_groups()).map(|index| self.group(index));
        let rows = groups.flat_map(|group| match group {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        });
        rows.take_while(move |row| !std::mem::replace(&mut failed, row.is_err()))
    }

    fn group(&self, index: usize) -> Result<Vec<Row>> {
        let failed = failed(&self.path);
        let group = self.reader.get_row_group(index).map_err(&failed)?;
        let [tick, unix_ms, monotonic_ns, target, uid] = self.keys;
        let number = |column| required::<Int64Type>(&*group, column).map_err(&failed);
        let text = |column| required::<ByteArrayType>(&*group, column).map_err(&failed);
        let (ticks, unix, monotonic) = (number(tick)?, number(unix_ms)?, number(monotonic_ns)?);
        let (targets, uids) = (text(target)?, text(uid)?);
        let positions = self.positions.iter();
        let floats = positions.map(|column| optional(&*group, *column).map_err(&failed)).collect::<Result<Vec<_>>>()?;
        let owned = |bytes: &parquet::data_type::ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
        let times = ticks.iter().zip(&unix).zip(&monotonic);
        let names = targets.iter().zip(&uids);
        let rows = times.zip(names).enumerate().map(|(row, (((tick, unix_ms), monotonic_ns), (target, uid)))| Row {
            tick: tick.cast_unsigned(),
            unix_ms: unix_ms.cast_unsigned(),
            monotonic_ns: monotonic_ns.cast_unsigned(),
            target: owned(target),
            uid: owned(uid),
            floats: floats.iter().map(|column| column.get(row).copied().unwrap_or(f32::NAN)).collect(),
        });
        Ok(rows.collect())
    }
}

fn required<T: DataType>(group: &dyn RowGroupReader, column: usize) -> parquet::errors::Result<Vec<T::T>> {
    let rows = group.metadata().num_rows().try_into().unwrap_or(0);
    let mut values = Vec::new();
    get_typed_column_reader::<T>(group.get_column_reader(column)?).read_records(rows, None, None, &mut values)?;
    Ok(values)
}

/// A float column with NaN for null.
fn optional(group: &dyn RowGroupReader, column: usize) -> parquet::errors::Result<Vec<f32>> {
    let rows = group.metadata().num_rows().try_into().unwrap_or(0);
    let most = group.metadata().column(column).column_descr().max_def_level();
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut reader = get_typed_column_reader::<FloatType>(group.get_column_reader(column)?);
    reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if most == 0 {
        return Ok(values);
    }
    let mut present = values.into_iter();
    Ok(levels.iter().map(|level| if *level == most { present.next().unwrap_or(f32::NAN) } else { f32::NAN }).collect())
}
