//! Where a tracepoint keeps its fields: offsets differ between kernels, so they come from the `format` file.

use std::{
    ffi::CString,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why an offset is not known.
#[derive(Debug, Error)]
pub enum TracepointError {
    /// tracefs is neither mounted nor mountable.
    #[error("tracefs is not mounted at /sys/kernel/tracing and cannot be mounted")]
    TraceFs(#[source] io::Error),
    /// The tracepoint's format could not be read.
    #[error("cannot read {path}; expected this tracepoint in the kernel and the right to read tracefs (uid 0)")]
    Format {
        /// The format file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tracepoint has no such field.
    #[error("tracepoint {event} has no field {field} of {size} bytes; this kernel is not supported by the sensor")]
    Field {
        /// The tracepoint.
        event: &'static str,
        /// The field.
        field: &'static str,
        /// The expected size.
        size: u32,
    },
}

/// Where tracefs is mounted.
pub const TRACEFS: &str = "/sys/kernel/tracing";

/// Mounts tracefs at its usual place, where it is not.
pub fn mount() -> Result<(), TracepointError> {
    if Path::new(TRACEFS).join("events").is_dir() {
        return Ok(());
    }
    let (name, point) = (CString::from(c"tracefs"), CString::from(c"/sys/kernel/tracing"));
    // SAFETY: the strings outlive the call; tracefs takes no data.
    match unsafe { libc::mount(name.as_ptr(), point.as_ptr(), name.as_ptr(), 0, std::ptr::null()) } {
        0 => Ok(()),
        _ => Err(TracepointError::TraceFs(io::Error::last_os_error())),
    }
}

/// Offset of `field` in a format file, if it is there with that size.
fn offset_in(format: &str, field: &str, size: u32) -> Option<u32> {
    format.lines().filter_map(|line| line.trim().strip_prefix("field:")).find_map(|line| {
        let mut parts = line.split(';').map(str::trim);
        let declared = parts.next()?.rsplit(' ').next()?.split('[').next()?;
        let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
        let found = parts.next()?.strip_prefix("size:")?.parse::<u32>().ok()?;
        (declared == field && found == size).then_some(offset)
    })
}

/// Offset of a field of `size` bytes in the tracepoint `sched:event`.
pub fn sched_offset(
    tracefs: &Path,
    event: &'static str,
    field: &'static str,
    size: u32,
) -> Result<u32, TracepointError> {
    let path = tracefs.join("events/sched").join(event).join("format");
    let format = fs::read_to_string(&path).map_err(|source| TracepointError::Format { path, source })?;
    offset_in(&format, field, size).ok_or(TracepointError::Field { event, field, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCH: &str = "name: sched_switch\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
        \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n";

    #[test]
    fn an_offset_is_read_from_the_format() {
        assert_eq!(offset_in(SWITCH, "prev_pid", 4), Some(24));
        assert_eq!(offset_in(SWITCH, "prev_state", 8), Some(32));
        assert_eq!(offset_in(SWITCH, "prev_comm", 16), Some(8));
    }

    #[test]
    fn a_field_of_another_size_or_name_is_not_taken() {
        assert_eq!(offset_in(SWITCH, "prev_pid", 8), None);
        assert_eq!(offset_in(SWITCH, "next_pid", 4), None);
    }
}
