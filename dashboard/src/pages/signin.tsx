import { useState } from 'preact/hooks';
import { Refused, signIn } from '../client';

/** Asks for the token. It is exchanged for a cookie that scripts cannot read, and kept nowhere else. */
export function SignIn({ onDone }: { onDone: () => void }) {
  const [token, setToken] = useState('');
  const [words, setWords] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    signIn(token.trim()).then(onDone, (error: unknown) => setWords(error instanceof Refused ? error.message : String(error)));
  };
  return (
    <main class="signin">
      <h1>net<span>precursor</span></h1>
      <p class="soft">This dashboard listens beyond its own machine. It wants the token of its <code>--token-file</code>.</p>
      <form onSubmit={submit}>
        <label class="field search">
          <span>Token</span>
          <input type="password" value={token} autocomplete="current-password" onInput={(event) => setToken(event.currentTarget.value)} />
        </label>
        <button type="submit">Sign in</button>
      </form>
      <p class="note" role="alert">{words}</p>
    </main>
  );
}
