// Loaded before the service: at SIGUSR2 its heap is filled until it is full.
process.on('SIGUSR2', () => {
  const kept = [];
  for (;;) kept.push(Array.from({ length: 1000 }, () => ({})));
});
