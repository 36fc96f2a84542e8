//! Rooms that forward frames, sans-IO.
