//! Writing: rows are gathered by column, one row group at a time.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, FloatType, Int64Type},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::{KEYS, Origin, ROW_GROUP, RecordingError, Row, failed, file};

type Result<T> = std::result::Result<T, RecordingError>;

/// An open recording. Until it is finished the file is named `….partial`; dropping the writer earlier removes it.
pub(crate) struct Writer {
    path: PathBuf,
    partial: PathBuf,
    out: Option<SerializedFileWriter<BufWriter<File>>>,
    numbers: [Vec<i64>; 3],
    texts: [Vec<ByteArray>; 2],
    floats: Vec<Vec<f32>>,
    rows: u64,
}

impl Writer {
    /// Starts `path` with the named float columns.
    pub(crate) fn create(path: &Path, origin: &Origin, floats: &[&str]) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let values = [&origin.schema_hash, &origin.kernel, &origin.agent_version];
        let metadata = KEYS.iter().zip(values).map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_created_by(concat!("netprecursor ", env!("CARGO_PKG_VERSION")).into())
            .set_key_value_metadata(Some(metadata.collect()))
            .build();
        let schema = schema(floats).map_err(failed(path))?;
        let opened = BufWriter::new(File::create(&partial).map_err(file(&partial))?);
        let out = SerializedFileWriter::new(opened, schema, Arc::new(properties)).map_err(failed(path))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            out: Some(out),
            numbers: Default::default(),
            texts: Default::default(),
            floats: vec![Vec::new(); floats.len()],
            rows: 0,
        })
    }

    /// Adds a row. A row with more or fewer floats than columns is a defect of the caller: extra floats are dropped, missing
    /// ones are null.
    pub(crate) fn push(&mut self, row: &Row) -> Result<()> {
        for (column, value) in self.numbers.iter_mut().zip([row.tick, row.unix_ms, row.monotonic_ns]) {
            column.push(value.cast_signed());
        }
        for (column, value) in self.texts.iter_mut().zip([&row.target, &row.uid]) {
            column.push(ByteArray::from(value.as_str()));
        }
        let values = row.floats.iter().copied().chain(std::iter::repeat(f32::NAN));
        for (column, value) in self.floats.iter_mut().zip(values) {
            column.push(value);
        }
        self.rows += 1;
        if self.numbers[0].len() >= ROW_GROUP { self.flush() } else { Ok(()) }
    }

    /// Rows pushed so far.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the remaining rows and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some(out) = self.out.take() {
            let buffered = out.into_inner().map_err(failed(&self.path))?;
            let opened = buffered.into_inner().map_err(|error| file(&self.path)(error.into_error()))?;
            opened.sync_all().map_err(file(&self.path))?;
            fs::rename(&self.partial, &self.path).map_err(file(&self.path))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        if self.numbers[0].is_empty() {
            return Ok(());
        }
        let failed = failed(&self.path);
        let mut group = out.next_row_group().map_err(&failed)?;
        for column in &mut self.numbers {
            write::<Int64Type>(&mut group, column, None).map_err(&failed)?;
            column.clear();
        }
        for column in &mut self.texts {
            write::<ByteArrayType>(&mut group, column, None).map_err(&failed)?;
            column.clear();
        }
        for column in &mut self.floats {
            let levels: Vec<i16> = column.iter().map(|value| i16::from(!value.is_nan())).collect();
            column.retain(|value| !value.is_nan());
            write::<FloatType>(&mut group, column, Some(&levels)).map_err(&failed)?;
            column.clear();
        }
        group.close().map(drop).map_err(&failed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            // If it cannot be removed, its name says that it is partial.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn write<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> parquet::errors::Result<()> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}

fn schema(floats: &[&str]) -> parquet::errors::Result<TypePtr> {
    let column = |name: &str, physical, repetition, logical| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let mut fields = Vec::with_capacity(5 + floats.len());
    for name in ["tick", "unix_ms", "monotonic_ns"] {
        fields.push(column(name, Physical::INT64, Repetition::REQUIRED, None)?);
    }
    for name in ["target", "uid"] {
        fields.push(column(name, Physical::BYTE_ARRAY, Repetition::REQUIRED, Some(LogicalType::String))?);
    }
    for name in floats {
        fields.push(column(name, Physical::FLOAT, Repetition::OPTIONAL, None)?);
    }
    Type::group_type_builder("recording").with_fields(fields).build().map(Arc::new)
}
