"""Who is primary: control records on both sides and the mmap hint."""
