"""Gates, phases, fence, switch, rollback."""
