import { sdk } from '../sdk';
import { addEntry } from './addEntry';
import { publish } from './publish';
import { report } from './report';
import { setOwner } from './setOwner';

export const actions = sdk.Actions.of().addAction(setOwner).addAction(addEntry).addAction(report).addAction(publish);
