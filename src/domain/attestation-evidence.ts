/**
 * What an attestor has proved about this machine, as it is kept on record: the answer to one request, after its
 * signature and everything in it held. The names are those of the attestor's bundle.
 */
export type AttestationEvidence = {
  /** When the recorder asked, by its own clock. */
  readonly requested_at: string;
  /** When the attestor measured the machine, as it wrote that: RFC 3339, up to nanoseconds. */
  readonly timestamp: string;
  readonly state: 'attested';
  readonly assurance_mode: 'hardware';
  readonly evidence_verified: true;
  /** `boot_measurements.secure_boot_enabled` of the bundle. */
  readonly secure_boot_enabled: true;
  readonly tpm_available: true;
  readonly tpm_measurements_verified: true;
  readonly tpm_quote_verified: true;
  readonly deployment_verified: true;
  readonly release_baseline_verified: true;
  readonly deployment_digest?: string;
  readonly policy_digest?: string;
  /** SHA-256 of the public key that the TPM signed its quote with, in hexadecimal. */
  readonly tpm_ak_public_key_sha256: string;
  readonly bundle_hmac: string;
  readonly bundle_hmac_verified: true;
  /** What the recorder sent, and what the TPM's quote is bound to: 64 hexadecimal digits. */
  readonly request_nonce: string;
};
