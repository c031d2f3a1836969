// Preloaded into one process of a test: its wall clock is wrong by this many milliseconds.
const ahead = Number(process.env.TEST_CLOCK_AHEAD_MS);
const now = Date.now;
Date.now = () => now() + ahead;
