import { sdk } from '../sdk';
import { addBed } from './addBed';
import { neighbours } from './neighbours';

export const actions = sdk.Actions.of().addAction(addBed).addAction(neighbours);
