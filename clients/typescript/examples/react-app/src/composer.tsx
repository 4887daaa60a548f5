// The place to write, and to put files.

import type { ChatActions, ChatSnapshot, UploadEntry } from "@cidadao/realtime/react";
import { type ChangeEvent, type FormEvent, type KeyboardEvent, useState } from "react";
import { percent } from "./words.ts";

const MAX_CHARACTERS = 1_000;

export function Composer({ chat }: { chat: ChatSnapshot & ChatActions }) {
  const [text, setText] = useState("");
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (!text.trim()) return;
    // How it ends is shown with what was asked.
    chat.send(text.trim()).done.catch(() => {});
    setText("");
  };
  const change = (value: string) => {
    setText(value);
    chat.setTyping(value !== "");
  };
  const canStop = chat.isAnswering && !text;
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape" && canStop) chat.cancel();
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };
  return (
    <form className="composer" onSubmit={submit}>
      <Uploads uploads={chat.uploads} />
      <Attach upload={chat.upload} />
      <textarea
        aria-label="Mensagem"
        placeholder="Pergunte algo"
        rows={1}
        maxLength={MAX_CHARACTERS}
        value={text}
        onChange={(event) => change(event.target.value)}
        onKeyDown={press}
      />
      {canStop ? (
        <button type="button" className="stop" aria-keyshortcuts="Escape" onClick={() => chat.cancel()}>
          Parar
        </button>
      ) : (
        // Not `disabled`, with which a button loses the focus.
        <button type="submit" className="send" aria-disabled={!text.trim()}>
          Enviar
        </button>
      )}
    </form>
  );
}

function Attach({ upload }: Pick<ChatActions, "upload">) {
  const choose = ({ target }: ChangeEvent<HTMLInputElement>) => {
    // What fails stays in the list above, with its reason.
    for (const file of target.files ?? []) upload(file).catch(() => {});
    target.value = "";
  };
  return (
    <label className="attach" title="Anexar arquivos">
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d="M8 12.5 14 6.5a3 3 0 0 1 4.2 4.2l-7.8 7.8a5 5 0 0 1-7-7L11 4" />
      </svg>
      <span className="unseen">Anexar arquivos</span>
      <input type="file" className="unseen" multiple onChange={choose} />
    </label>
  );
}

function Uploads({ uploads }: { uploads: readonly UploadEntry[] }) {
  if (uploads.length === 0) return null;
  return (
    <ul className="uploads" aria-label="Arquivos a caminho">
      {uploads.map(({ key, name, sent, size, status, error, cancel }) => (
        <li key={key} data-status={status}>
          <span className="file-name">{name}</span>
          {status === "failed" ? (
            <small className="reason" role="alert">
              {error?.message}
            </small>
          ) : (
            <progress value={sent} max={size || 1} aria-label={`${name}: ${percent(sent / (size || 1))}`} />
          )}
          <button type="button" className="dismiss" aria-label={`Cancelar ${name}`} onClick={cancel}>
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}
