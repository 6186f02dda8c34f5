"""Text out of mails and documents, for DLP: what is read, and honestly what is not."""
