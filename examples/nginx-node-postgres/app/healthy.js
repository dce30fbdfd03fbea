// The health check: exits 0 if the server and its database answer.
fetch(`http://localhost:${process.env.PORT}/health`).then(
  (response) => process.exit(response.ok ? 0 : 1),
  () => process.exit(1),
);
