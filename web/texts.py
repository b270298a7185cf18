"""The pages' sentences in German, by the English ones the templates are written in.

Every sentence of ``t("…")`` and ``tn("…", "…")`` stands here
(``tests/web/test_texts.py`` holds that); a missing one is shown in English.
"""

from __future__ import annotations

from typing import Final

GERMAN: Final[dict[str, str]] = {
    # -- the frame
    "Skip to the content": "Zum Inhalt springen",
    "Mailboxes": "Postfächer",
    "Search all mail": "Alle Nachrichten durchsuchen",
    "Search": "Suchen",
    "House": "Haus",
    "Accounts": "Konten",
    "Devices": "Geräte",
    "People": "Personen",
    "Status": "Zustand",
    "Password": "Passwort",
    "Sign out": "Abmelden",
    "Pages": "Seiten",
    "Name": "Name",
    "Add": "Hinzufügen",
    "Cancel": "Abbrechen",
    "Open": "Öffnen",
    "More": "Mehr",
    # -- first start, signing in
    "First start": "Erster Start",
    "Welcome to Hauspost": "Willkommen bei Hauspost",
    "Make the first person: the keeper, who looks after this house and lets others in.": (
        "Lege die erste Person an: sie verwaltet dieses Haus und lässt andere hinein."
    ),
    "Setup code": "Einrichtungscode",
    "The appliance printed it when it started; it is in its log.": (
        "Das Gerät hat ihn beim Start ausgegeben; er steht in seinem Protokoll."
    ),
    "Sign-in name": "Anmeldename",
    "Lower case, digits, dot and dash; it stays for ever.": (
        "Kleinbuchstaben, Ziffern, Punkt und Bindestrich; er bleibt für immer."
    ),
    "Name to show": "Angezeigter Name",
    "Password again": "Passwort noch einmal",
    "Begin": "Anfangen",
    "This house has no person yet. The first one can only be made from the appliance itself: "
    "open this page there, or run “hauspost person add NAME”.": (
        "Dieses Haus hat noch keine Person. Die erste kann nur am Gerät selbst angelegt werden: "
        "öffne diese Seite dort, oder rufe „hauspost person add NAME“ auf."
    ),
    "The first person can only be made from the appliance itself.": (
        "Die erste Person kann nur am Gerät selbst angelegt werden."
    ),
    "That is not the setup code. It is in the log of the appliance.": (
        "Das ist nicht der Einrichtungscode. Er steht im Protokoll des Geräts."
    ),
    "The password needs at least {n} characters.": ("Das Passwort braucht mindestens {n} Zeichen."),
    "The two passwords are not the same.": "Die beiden Passwörter sind nicht gleich.",
    "Welcome. Add the first mail account, and its messages come in.": (
        "Willkommen. Füge das erste Mailkonto hinzu, und seine Nachrichten kommen herein."
    ),
    "Sign in": "Anmelden",
    "The mail of this house, kept in one place.": "Die Post dieses Hauses, an einem Ort bewahrt.",
    "The name or the password is not right.": "Name oder Passwort stimmt nicht.",
    # -- what went wrong
    "That did not work": "Das ging nicht",
    "To the start": "Zum Anfang",
    "Answer {code}": "Antwort {code}",
    "You are signed out. Sign in and try again.": (
        "Du bist abgemeldet. Melde dich an und versuche es noch einmal."
    ),
    "There is nothing here, or it is not yours to see.": (
        "Hier ist nichts, oder es ist nicht für dich bestimmt."
    ),
    "This page cannot be used that way.": "So kann diese Seite nicht benutzt werden.",
    "That was too much at once.": "Das war zu viel auf einmal.",
    "Something went wrong on our side. The log says more under incident {number}.": (
        "Bei uns ist etwas schiefgegangen. Das Protokoll sagt mehr unter Vorfall {number}."
    ),
    # -- mailboxes
    "Inbox": "Eingang",
    "Drafts": "Entwürfe",
    "Sent": "Gesendet",
    "Archive": "Archiv",
    "Junk": "Spam",
    "Trash": "Papierkorb",
    "All mail": "Alle Nachrichten",
    "unread": "ungelesen",
    "Removed messages": "Entfernte Nachrichten",
    "New mailbox": "Neues Postfach",
    "Name; a / makes levels": "Name; ein / macht Ebenen",
    "Make it": "Anlegen",
    "A mailbox needs a name.": "Ein Postfach braucht einen Namen.",
    "Mailbox {name} is there.": "Das Postfach {name} ist da.",
    "{n} message": "{n} Nachricht",
    "{n} messages": "{n} Nachrichten",
    "With the chosen messages": "Mit den gewählten Nachrichten",
    "Choose all on this page": "Alle auf dieser Seite wählen",
    "Choose": "Wählen",
    "Read": "Gelesen",
    "Unread": "Ungelesen",
    "Star": "Stern",
    "Take out": "Herausnehmen",
    "Delete": "Löschen",
    "Move to": "Verschieben nach",
    "Move": "Verschieben",
    "(no subject)": "(kein Betreff)",
    "(nobody)": "(niemand)",
    "has attachments": "hat Anhänge",
    "No messages here.": "Hier sind keine Nachrichten.",
    "Add a mail account": "Mailkonto hinzufügen",
    "Newer": "Neuere",
    "Older": "Ältere",
    "This mailbox has changed: show it anew": "Dieses Postfach hat sich geändert: neu zeigen",
    "Only unread": "Nur ungelesene",
    "Show all": "Alle zeigen",
    "No message is chosen.": "Keine Nachricht ist gewählt.",
    "At most {n} messages at once.": "Höchstens {n} Nachrichten auf einmal.",
    "There is no Trash mailbox; make one.": "Es gibt keinen Papierkorb; lege einen an.",
    "The message is in the Trash already.": "Die Nachricht ist schon im Papierkorb.",
    "Choose where the messages shall go.": "Wähle, wohin die Nachrichten sollen.",
    "{n} message is out of the Trash. The archive still keeps it.": (
        "{n} Nachricht ist aus dem Papierkorb. Das Archiv bewahrt sie weiter."
    ),
    "{n} messages are out of the Trash. The archive still keeps them.": (
        "{n} Nachrichten sind aus dem Papierkorb. Das Archiv bewahrt sie weiter."
    ),
    "{n} message moved to {name}.": "{n} Nachricht nach {name} verschoben.",
    "{n} messages moved to {name}.": "{n} Nachrichten nach {name} verschoben.",
    "{n} message is read now.": "{n} Nachricht ist jetzt gelesen.",
    "{n} messages are read now.": "{n} Nachrichten sind jetzt gelesen.",
    "{n} message is unread now.": "{n} Nachricht ist jetzt ungelesen.",
    "{n} messages are unread now.": "{n} Nachrichten sind jetzt ungelesen.",
    "{n} message has a star.": "{n} Nachricht hat einen Stern.",
    "{n} messages have a star.": "{n} Nachrichten haben einen Stern.",
    "{n} message lost its star.": "{n} Nachricht hat keinen Stern mehr.",
    "{n} messages lost their star.": "{n} Nachrichten haben keinen Stern mehr.",
    "{n} message moved to the Trash.": "{n} Nachricht in den Papierkorb verschoben.",
    "{n} messages moved to the Trash.": "{n} Nachrichten in den Papierkorb verschoben.",
    "These messages are in no mailbox any more. The archive keeps them, "
    "and each can be put back.": (
        "Diese Nachrichten sind in keinem Postfach mehr. Das Archiv bewahrt sie, und jede kann "
        "zurückgelegt werden."
    ),
    "from {name}": "aus {name}",
    "Put back": "Zurücklegen",
    "Nothing was removed.": "Nichts wurde entfernt.",
    "The message is in {name} again.": "Die Nachricht ist wieder in {name}.",
    # -- a message
    "With this message": "Mit dieser Nachricht",
    "Remove star": "Stern entfernen",
    "This message could not be read completely: {why} Its source is whole.": (
        "Diese Nachricht war nicht ganz zu lesen: {why} Ihre Quelle ist vollständig."
    ),
    "to": "an",
    "copy": "Kopie",
    "blind copy": "Blindkopie",
    "removed": "entfernt",
    "Conversation: {n} message": "Gespräch: {n} Nachricht",
    "Conversation: {n} messages": "Gespräch: {n} Nachrichten",
    "Header": "Kopfzeilen",
    "Source (.eml)": "Quelle (.eml)",
    "View": "Ansicht",
    "Page": "Seite",
    "Text": "Text",
    "{n} picture on the internet is not loaded": "{n} Bild im Internet ist nicht geladen",
    "{n} pictures on the internet are not loaded": "{n} Bilder im Internet sind nicht geladen",
    "The message": "Die Nachricht",
    "This page is too large to show; here is its text.": (
        "Diese Seite ist zu groß zum Zeigen; hier ist ihr Text."
    ),
    "The archive cannot give this message back: {why}": (
        "Das Archiv kann diese Nachricht nicht zurückgeben: {why}"
    ),
    "(no text)": "(kein Text)",
    "The rest is in the source.": "Der Rest steht in der Quelle.",
    "Attachments": "Anhänge",
    "This address is out of date: open the message again.": (
        "Diese Adresse ist abgelaufen: öffne die Nachricht noch einmal."
    ),
    "{n} older message is not shown.": "{n} ältere Nachricht ist nicht gezeigt.",
    "{n} older messages are not shown.": "{n} ältere Nachrichten sind nicht gezeigt.",
    # -- search
    "Words are found wherever they stand: in subjects, names, texts and attached files.": (
        "Wörter werden überall gefunden: in Betreff, Namen, Text und angehängten Dateien."
    ),
    "invoice heating": "Rechnung Heizung",
    "both words": "beide Wörter",
    "best regards": "mit freundlichen Grüßen",
    "side by side": "nebeneinander",
    "newsletter": "Newsletter",
    "without that word": "ohne dieses Wort",
    "Order": "Reihenfolge",
    "newest first": "neueste zuerst",
    "oldest first": "älteste zuerst",
    "best first": "beste zuerst",
    "{n} message found": "{n} Nachricht gefunden",
    "{n} messages found": "{n} Nachrichten gefunden",
    "{n} message is not indexed yet and may be missing here.": (
        "{n} Nachricht ist noch nicht im Index und fehlt hier vielleicht."
    ),
    "{n} messages are not indexed yet and may be missing here.": (
        "{n} Nachrichten sind noch nicht im Index und fehlen hier vielleicht."
    ),
    "Nothing found. Fewer words find more.": "Nichts gefunden. Weniger Wörter finden mehr.",
    "To the first page": "Zur ersten Seite",
    # -- accounts
    "Add an account": "Konto hinzufügen",
    "Mail is fetched from these accounts into the archive of this house.": (
        "Von diesen Konten wird Post in das Archiv dieses Hauses geholt."
    ),
    "No account yet.": "Noch kein Konto.",
    "fetching": "holt gerade",
    "paused": "angehalten",
    "problem": "Problem",
    "works": "geht",
    "not fetched yet": "noch nicht abgeholt",
    "for {name}": "für {name}",
    "Not encrypted: anybody on the way can read the password.": (
        "Nicht verschlüsselt: jeder auf dem Weg kann das Passwort lesen."
    ),
    "Fetching {name}": "{name} wird abgeholt",
    "{done} of {total} messages": "{done} von {total} Nachrichten",
    "{n} new": "{n} neu",
    "about {time} to go": "noch etwa {time}",
    "{n} new message": "{n} neue Nachricht",
    "{n} new messages": "{n} neue Nachrichten",
    "{n} listed": "{n} dort",
    "{n} message could not be fetched and is tried again.": (
        "{n} Nachricht war nicht abzuholen und wird wieder versucht."
    ),
    "{n} messages could not be fetched and are tried again.": (
        "{n} Nachrichten waren nicht abzuholen und werden wieder versucht."
    ),
    "Which and why": "Welche und warum",
    "Fetch now": "Jetzt abholen",
    "Change": "Ändern",
    "Pause": "Anhalten",
    "Go on": "Weiter",
    "Remove": "Entfernen",
    "Remove {name}": "{name} entfernen",
    "Remove {name}?": "{name} entfernen?",
    "Its messages stay in the archive, and nothing changes at the provider. The account is no "
    "longer fetched, and its password is forgotten here.": (
        "Seine Nachrichten bleiben im Archiv, und beim Anbieter ändert sich nichts. Das Konto wird "
        "nicht mehr abgeholt, und sein Passwort wird hier vergessen."
    ),
    "Keep it": "Behalten",
    "Change {name}": "{name} ändern",
    "Mail address": "Mailadresse",
    "Find the server": "Server finden",
    "Or choose the provider": "Oder wähle den Anbieter",
    "another one": "ein anderer",
    "Name of the account": "Name des Kontos",
    "A short word such as gmx or office; it stays.": (
        "Ein kurzes Wort wie gmx oder firma; es bleibt."
    ),
    "Whose mail is it?": "Wessen Post ist es?",
    "Protocol": "Protokoll",
    "Server": "Server",
    "Port": "Port",
    "Encryption": "Verschlüsselung",
    "none (not safe)": "keine (unsicher)",
    "User name there": "Benutzername dort",
    "Password there": "Passwort dort",
    "unchanged": "unverändert",
    "How often": "Wie oft",
    "every minute": "jede Minute",
    "every {n} minutes": "alle {n} Minuten",
    "every hour": "jede Stunde",
    "every {n} hours": "alle {n} Stunden",
    "Remove from the server": "Auf dem Server entfernen",
    "never": "nie",
    "once archived": "sobald archiviert",
    "after {n} days": "nach {n} Tagen",
    "Mailboxes, one pattern a line; * is all (IMAP)": (
        "Postfächer, ein Muster je Zeile; * ist alle (IMAP)"
    ),
    "Fingerprint of the certificate (SHA-256), for a server at home without a public one": (
        "Fingerabdruck des Zertifikats (SHA-256), für einen Server zu Hause ohne öffentliches"
    ),
    "A fingerprint is 64 digits and letters from A to F (SHA-256).": (
        "Ein Fingerabdruck hat 64 Ziffern und Buchstaben von A bis F (SHA-256)."
    ),
    "Mailboxes: {names}": "Postfächer: {names}",
    "{n} message is there.": "{n} Nachricht ist dort.",
    "{n} messages are there.": "{n} Nachrichten sind dort.",
    "Save": "Speichern",
    "Test it": "Ausprobieren",
    "We do not know that provider: type in its server.": (
        "Diesen Anbieter kennen wir nicht: trage seinen Server ein."
    ),
    "{name} is added and is being fetched.": "{name} ist hinzugefügt und wird abgeholt.",
    "Type the password again: the account goes to another server.": (
        "Gib das Passwort noch einmal ein: das Konto geht zu einem anderen Server."
    ),
    "{name} is changed.": "{name} ist geändert.",
    "{name} is being fetched.": "{name} wird abgeholt.",
    "{name} is removed. Its messages stay in the archive.": (
        "{name} ist entfernt. Seine Nachrichten bleiben im Archiv."
    ),
    "Only the keeper makes accounts for others.": (
        "Konten für andere legt nur an, wer das Haus verwaltet."
    ),
    "Port {port} is no mail port; ask the keeper.": (
        "Port {port} ist kein Mailport; frage, wer das Haus verwaltet."
    ),
    # -- people and devices
    "Everybody has their own mailboxes. Nobody, not even the keeper, sees another person's "
    "messages here.": (
        "Alle haben ihre eigenen Postfächer. Niemand, auch nicht wer das Haus verwaltet, sieht "
        "hier Nachrichten anderer."
    ),
    "keeper": "verwaltet das Haus",
    "signs in as {name}": "meldet sich an als {name}",
    "New password": "Neues Passwort",
    "New password again": "Neues Passwort noch einmal",
    "Old password": "Altes Passwort",
    "Set it": "Setzen",
    "Add an address": "Adresse hinzufügen",
    "Mail to this address comes to {name}": "Post an diese Adresse kommt zu {name}",
    "Let somebody in": "Jemanden hereinlassen",
    "Let in": "Hereinlassen",
    "{name} can sign in now.": "{name} kann sich jetzt anmelden.",
    "{name} has a new password.": "{name} hat ein neues Passwort.",
    "The old password is not right.": "Das alte Passwort stimmt nicht.",
    "Your password is changed.": "Dein Passwort ist geändert.",
    "Your password": "Dein Passwort",
    "It is for these pages only. Mail programs have their own: see Devices.": (
        "Es gilt nur für diese Seiten. Mailprogramme haben eigene: siehe Geräte."
    ),
    "Change it": "Ändern",
    "Every phone and every mail program gets a password of its own. A lost device is locked out "
    "here without changing anything else.": (
        "Jedes Telefon und jedes Mailprogramm bekommt ein eigenes Passwort. Ein verlorenes Gerät "
        "wird hier ausgesperrt, ohne sonst etwas zu ändern."
    ),
    "Type this into {name}": "Das gib in {name} ein",
    "The password is shown only now.": "Das Passwort wird nur jetzt gezeigt.",
    "User name": "Benutzername",
    "IMAP server": "IMAP-Server",
    "Port with TLS": "Port mit TLS",
    "Port without, on this machine only": "Port ohne, nur auf diesem Rechner",
    "last used {when}": "zuletzt benutzt {when}",
    "never used": "nie benutzt",
    "Lock {name} out?": "{name} aussperren?",
    "Lock out": "Aussperren",
    "No device yet.": "Noch kein Gerät.",
    "Add a device": "Gerät hinzufügen",
    "Its name, such as Anna's phone": "Sein Name, etwa Annas Telefon",
    "Make a password": "Passwort machen",
    "{name} cannot sign in any more.": "{name} kann sich nicht mehr anmelden.",
    # -- status
    "The disk is nearly full: {free} are left. Make room, or fetching stops.": (
        "Die Platte ist fast voll: {free} sind übrig. Schaffe Platz, sonst endet das Abholen."
    ),
    "The index cannot be used, so searching finds less. Run “hauspost reindex”; no mail is lost.": (
        "Der Index ist nicht zu benutzen, darum findet die Suche weniger. Rufe „hauspost reindex“ "
        "auf; keine Nachricht ist verloren."
    ),
    "your messages": "deine Nachrichten",
    "their size": "ihre Größe",
    "messages in the house": "Nachrichten im Haus",
    "on the disk for {size} of mail": "auf der Platte für {size} Post",
    "free on the disk": "frei auf der Platte",
    "all": "alle",
    "can be searched": "sind durchsuchbar",
    "not indexed yet": "noch nicht im Index",
    "Last runs": "Letzte Abholungen",
    "Account": "Konto",
    "When": "Wann",
    "New": "Neu",
    "Listed": "Dort",
    "Time": "Dauer",
    "Result": "Ergebnis",
    "good": "gut",
    "{n} failed": "{n} misslungen",
    "Nothing was fetched yet.": "Noch wurde nichts abgeholt.",
    "{n} message that could not be fetched": "{n} Nachricht, die nicht abzuholen war",
    "{n} messages that could not be fetched": "{n} Nachrichten, die nicht abzuholen waren",
    "Mailbox": "Postfach",
    "Why": "Warum",
    "Tries": "Versuche",
    "Next try": "Nächster Versuch",
    "What was done in the house": "Was im Haus getan wurde",
    "Who": "Wer",
    "What": "Was",
}
